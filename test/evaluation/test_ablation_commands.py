"""The commands that measure and write the ablations."""

import runpy
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / 'benchmarks'


@pytest.mark.parametrize(('name', 'missing'), [
    ('ablation', 'spd_0'), ('ablation_mrc', 'lite_0'), ('ablation_disp6d', 'category_0')])
def test_the_command_names_what_is_not_measured(name, missing, tmp_path, monkeypatch, capsys):
    script = BENCHMARKS / f'{name}.py'
    monkeypatch.setattr(sys, 'argv', [str(script), '--data', 'train', '--test', 'far', '--runs',
                                      str(tmp_path), '--only-write'])
    # As Python does for a script that it is given.
    monkeypatch.syspath_prepend(str(script.parent))
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(script), run_name='__main__')
    assert end.value.code == 2
    assert f'{missing}.json is missing' in capsys.readouterr().err
