import json

from pose_estimation_ros.evaluation.report import Report

REPORT = Report('speed', ('stage', 'milliseconds'), (('cast', 12.34567), ('shade', 'n/a')),
                {'seed': 7})


def test_markdown_has_a_line_per_row_and_says_where_it_was_measured():
    text = REPORT.markdown()

    assert '| cast | 12.35 |' in text
    assert '| shade | n/a |' in text
    assert 'seed: 7' in text
    assert 'machine:' in text
    assert 'commit:' in text


def test_both_files_hold_the_rows(tmp_path):
    as_json, as_markdown = REPORT.write(tmp_path / 'results')
    data = json.loads(as_json.read_text())

    assert data['rows'][0] == {'stage': 'cast', 'milliseconds': 12.34567}
    assert data['settings'] == {'seed': 7}
    assert '| cast | 12.35 |' in as_markdown.read_text()
