import json
import subprocess

import numpy as np

from pose_estimation_ros.evaluation import report as report_module
from pose_estimation_ros.evaluation.report import Report, circumstances, model_identity
from pose_estimation_ros.runtime import ModelStore

REPORT = Report('speed', ('stage', 'milliseconds'), (('cast', 12.34567), ('shade', 'n/a'),
                                                     ('fade', float('nan'))),
                {'seed': 7}, {'spd_lite': 'f69e0977059e'}, ('curves.png',))


def test_markdown_has_a_line_per_row_and_says_where_it_was_measured():
    text = REPORT.markdown()

    assert '| cast | 12.35 |' in text
    assert '| shade | n/a |' in text
    assert '| fade | – |' in text
    assert 'seed: 7' in text
    assert 'models: spd_lite (sha256 f69e0977059e)' in text
    assert 'machine:' in text
    assert 'commit:' in text
    assert '![curves](curves.png)' in text


def test_both_files_hold_the_rows(tmp_path):
    as_json, as_markdown = REPORT.write(tmp_path / 'results')
    data = json.loads(as_json.read_text())

    assert data['rows'][0] == {'stage': 'cast', 'milliseconds': 12.34567}
    assert data['rows'][2]['milliseconds'] is None
    assert data['settings'] == {'seed': 7}
    assert data['models'] == {'spd_lite': 'f69e0977059e'}
    assert '| cast | 12.35 |' in as_markdown.read_text()
    assert sorted(path.name for path in as_json.parent.iterdir()) == ['speed.json', 'speed.md']


def test_json_is_strict_json_whatever_the_values(tmp_path):
    report = Report('odd', ('a', 'b'), ((np.float64('inf'), np.float64(0.5)),),
                    {'folder': tmp_path, 'list': [1.0, float('nan')]})
    data = json.loads(report.write(tmp_path)[0].read_text(), parse_constant=lambda name: 1 / 0)
    assert data['rows'] == [{'a': None, 'b': 0.5}]
    assert data['settings'] == {'folder': str(tmp_path), 'list': [1.0, None]}


def test_a_model_is_known_by_the_hash_of_its_network():
    model = ModelStore().find('spd_lite')
    expected = model.manifest.files['network'].sha256
    (name, digest), = model_identity(model).items()
    assert name == 'spd_lite'
    assert len(digest) == 12
    assert expected.startswith(digest)


def test_changes_that_no_commit_holds_are_told(tmp_path, monkeypatch):
    package = tmp_path / 'package'
    (package / 'evaluation').mkdir(parents=True)
    (package / 'code.py').write_text('a = 1\n')
    for command in (('init', '-q'), ('add', '.'),
                    ('-c', 'user.name=a', '-c', 'user.email=a@b', 'commit', '-qm', 'begin')):
        subprocess.run(['git', '-C', str(tmp_path), *command], check=True)
    monkeypatch.setattr(report_module, '__file__', str(package / 'evaluation' / 'report.py'))
    assert 'with changes' not in circumstances()['commit']
    (package / 'code.py').write_text('a = 2\n')
    assert circumstances()['commit'].endswith('with changes')
