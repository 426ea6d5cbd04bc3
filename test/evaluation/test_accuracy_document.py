import json
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fake_data import FakeDataset, use_fakes

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.evaluation import accuracy_document
from pose_estimation_ros.evaluation.accuracy_document import run_benchmark, write_documents
from pose_estimation_ros.evaluation.accuracy_pages import (
    fill_template,
    measured_table,
    replace_between,
)
from pose_estimation_ros.evaluation.data_folders import Data
from pose_estimation_ros.evaluation.found_objects import COLUMNS
from pose_estimation_ros.evaluation.pose_recall import RECALL_COLUMNS
from pose_estimation_ros.evaluation.report import Report
from pose_estimation_ros.evaluation.runner import Workers
from pose_estimation_ros.evaluation.stored_tables import read_table

ROOT = Path(__file__).resolve().parents[2]


def found_table(share):
    values = {'category': 'all', 'objects': 50, 'found, %': share,
              'median rotation of found, °': 2.5, 'median translation of found, cm': 0.75}
    return Report('found-objects', COLUMNS, [[values.get(name, 1.0) for name in COLUMNS]],
                  {'frames': 9}, {'spd_lite': 'f69e0977059e'}, ('curves.png',))


@pytest.fixture
def results(tmp_path):
    found_table(81.4).write(tmp_path / 'primary/spd_lite/whole-path')
    row = ['mean', 50, 60, *[71.0] * (len(RECALL_COLUMNS) - 3)]
    Report('pose-recall', RECALL_COLUMNS, [row], {}).write(
        tmp_path / 'primary/spd_lite/mask-errors')
    Report('frame_rate', ('stage', 'median, ms'), [('whole', 500.0)],
           {'frames per second': 2.0}).write(tmp_path / 'speed')
    return tmp_path


def test_aims_are_compared_with_what_was_measured(results):
    lines = fill_template('{{aims first}}', results).splitlines()
    assert '| 80 % | 95 % | 81 % of 50 |' in lines[2]
    assert '| 2.5°, 0.75 cm |' in lines[3]
    assert '| not measured |' in lines[4]
    assert '| **71 % / 71 %**, missed |' in lines[5]
    assert '| **2.0 frames/s**, missed |' in lines[7]


def test_what_was_asked_of_crnet_and_acr_is_compared_in_a_table_of_its_own(results):
    heads = ('category', 'objects', '5°2cm, %', '10°5cm, %')
    for domain, row in (('primary', ['mean', 50, 79.4, 92.3]), ('second', ['mean', 50, 61.4, 90])):
        Report('nocs-compat', heads, [row], {}).write(results / domain / 'crnet_lite/true-masks')
    Report('nocs-compat', heads, [['mean', 40, 62.1, 84.2]], {}).write(
        results / 'second/crnet_lite/true-masks-visible')
    Report('confidence', ('category', 'AUC'), [('can', 0.5), ('all', 0.8712)], {}).write(
        results / 'primary/crnet_lite/true-masks')
    Report('lite_speed', ('backend', 'network + alignment: median, ms'),
           [('spd', 50.0), ('crnet', 151.0)], {}).write(results / 'speed')
    Report('real_frames', ('shown', 'found', 'up axis off, °', 'centre off centroid, cm'),
           [('mug', 'mug', '2.0', '1.0'), ('bowl', 'bowl', '8.5', '1.0'),
            ('can', '-', '-', '-')], {}).write(results / 'real/crnet')
    lines = fill_template('{{aims crnet-acr}}', results).splitlines()
    assert '| 78 % / 92 % | 93 % / 98 % | 79 % / 92 % | `pose-estimation evaluate ' in lines[2]
    assert '--masks truth --protocol nocs --backend crnet' in lines[2]
    assert '| **61 % / 90 %**, missed |' in lines[3]
    assert '| not measured |' in lines[4]
    assert '| 62 % / 84 % |' in lines[5]
    assert '--visibility 0.4 --out' in lines[5]
    assert all('--visibility 0.4 --standing' in line for line in lines[6:8])
    assert '| 0.85 | 0.95 | 0.871 |' in lines[8]
    assert '| **151 ms**, missed |' in lines[9]
    assert '| **mug 2.0°, 1.0 cm; bowl 8.5°, 1.0 cm**, missed |' in lines[10]
    assert [line.count('| not measured |') for line in lines[11:]] == [1] * 9
    assert 'CR-Net' not in measured_table(results)


def test_the_readme_shows_what_was_measured_and_nothing_else(results):
    table = measured_table(results)
    assert '| 81 % of 50 | `pose-estimation evaluate data/frames/primary/test' in table
    assert 'second domain' not in table
    assert len(table.splitlines()) == 2 + 4


def test_a_table_comes_with_circumstances_models_and_pictures(results):
    text = fill_template('before\n\n{{table primary/spd_lite/whole-path/found-objects}}\n',
                         results)
    assert text.startswith('before\n\n| category | objects | found, % |')
    assert '| all | 50 | 81.4 |' in text
    assert 'frames: 9; models: spd_lite (sha256 f69e0977059e); machine:' in text
    assert '![curves](results/primary/spd_lite/whole-path/curves.png)' in text


def test_columns_can_be_left_out(results):
    text = fill_template('{{table primary/spd_lite/mask-errors/pose-recall without precision}}',
                         results)
    head = text.splitlines()[0]
    assert 'recall 5°2cm' in head
    assert 'precision' not in head
    assert text.splitlines()[2].count('|') == head.count('|')


def test_a_table_that_was_not_measured_is_said_to_be_so(results):
    assert fill_template('{{table real/acr/real_frames}}', results) == (
        'Not measured: there is no results/real/acr/real_frames.json.')


def test_an_unknown_mark_is_refused(results):
    for mark in ('tabel x', 'aims', 'aims third'):
        with pytest.raises(ConfigurationError, match=rf"holds '\{{\{{{mark}\}}\}}'.*first, crnet"):
            fill_template(f'{{{{{mark}}}}}', results)


def test_an_unknown_row_or_column_is_named(results):
    table = read_table(results, 'speed/frame_rate')
    with pytest.raises(InvalidInputError, match=r"no row 'pose' .* columns are stage, median"):
        table.value('pose', 'median, ms')


def test_only_what_is_between_the_marks_is_replaced():
    text = 'a\n<!-- measured: begin -->\nold\n<!-- measured: end -->\nb\n'
    assert replace_between(text, 'measured', 'new\n') == text.replace('old', 'new')
    with pytest.raises(ConfigurationError, match='has no <!-- measured: begin -->'):
        replace_between('a', 'measured', 'new')


def test_documents_are_written_from_template_and_results(results, tmp_path):
    docs = tmp_path / 'docs'
    docs.mkdir()
    names = ' '.join(model.manifest.name for model in accuracy_document._shipped())
    (docs / 'accuracy_template.md').write_text(f'{names}\n\n{{{{aims first}}}}\n')
    readme = tmp_path / 'README.md'
    readme.write_text('x\n<!-- measured: begin -->\n<!-- measured: end -->\ny\n')
    found_table(81.4).write(docs / 'results/primary/spd_lite/whole-path')
    write_documents(docs, readme)
    assert '81 % of 50' in (docs / 'accuracy.md').read_text()
    assert '81 % of 50' in readme.read_text()


def test_a_template_that_leaves_a_shipped_model_out_is_refused(tmp_path):
    names = [model.manifest.name for model in accuracy_document._shipped()]
    names.remove('maskrcnn_lite')
    (tmp_path / 'accuracy_template.md').write_text(' '.join(names))
    with pytest.raises(ConfigurationError, match='does not show the shipped model maskrcnn_lite'):
        write_documents(tmp_path, tmp_path / 'README.md')


def test_our_own_template_and_readme_can_be_filled(results):
    template = (ROOT / 'docs' / 'accuracy_template.md').read_text()
    text = fill_template(template, results)
    assert '{{' not in text
    assert all(model.manifest.name in template for model in accuracy_document._shipped())
    replace_between((ROOT / 'README.md').read_text(), 'measured', '')


def test_what_is_measured_is_what_the_documents_show(tmp_path, monkeypatch):
    use_fakes(monkeypatch, tmp_path / 'data', FakeDataset(3))
    pytest.importorskip('pycocotools', reason='the reference, which is optional')
    data, results = Data(tmp_path / 'data'), tmp_path / 'results'
    shipped = accuracy_document._shipped()
    for model in shipped:
        measure = (accuracy_document.measure_poses if model.manifest.task == 'pose'
                   else accuracy_document.measure_detector)
        measure(model, data, tmp_path / 'runs', results / 'primary', Workers())
    table = measured_table(results)
    assert '| 50 % of 6 |' in table
    assert '| 50 % / 50 % |' in table
    template = (ROOT / 'docs' / 'accuracy_template.md').read_text()
    shown = re.findall(r'\{\{table primary/([^\s}]+)', template)
    assert len(shown) >= 6
    names = {model.manifest.name for model in shipped}
    assert [name for name in shown if name.partition('/')[0] in names
            and not (results / 'primary' / f'{name}.json').exists()] == []


def test_a_benchmark_that_fails_is_named_with_its_last_words(tmp_path):
    with pytest.raises(accuracy_document.PoseEstimationError,
                       match=r'no_such_script.py ended with code 2: .*No such file'):
        run_benchmark('no_such_script')


def test_speed_and_recorded_frames_are_measured_for_every_shipped_method(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(accuracy_document, 'run_benchmark', lambda *words: calls.append(words))
    accuracy_document.measure_speed(tmp_path / 'results')
    accuracy_document.measure_real_frames(tmp_path / 'recorded', tmp_path / 'docs')
    shipped = [model.manifest.backend for model in accuracy_document._shipped()
               if model.manifest.task == 'pose']
    assert 'spd' in shipped
    assert calls[1][:2 + len(shipped)] == ('lite_speed', '--backends', *shipped)
    assert [call[:3] for call in calls[2:]] == [
        ('real_frames', '--backend', backend) for backend in shipped]
    for call, backend in zip(calls[2:], shipped, strict=True):
        assert call[call.index('--out') + 1].endswith(f'docs/results/real/{backend}')
        assert call[call.index('--overlays') + 1].endswith('docs/pictures')


def test_what_is_stored_is_what_the_report_wrote(results):
    path = results / 'primary/spd_lite/whole-path/found-objects.json'
    assert json.loads(path.read_text())['pictures'] == ['curves.png']
    assert read_table(results, 'primary/spd_lite/whole-path/found-objects').value(
        'all', 'found, %') == 81.4
