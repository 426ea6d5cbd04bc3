"""The pages that are made from the code are current, and all pages form a site."""

import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load(name):
    spec = spec_from_file_location(f'site_{name}', ROOT / 'tools' / 'site' / f'{name}.py')
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGES = load('pages').pages()


@pytest.mark.parametrize('path', PAGES, ids=lambda path: path.name)
def test_a_page_made_from_the_code_is_current(path):
    assert path.read_text('utf-8') == PAGES[path], 'run `make pages`'


def test_every_node_and_command_has_its_place():
    names = {path.name: text for path, text in PAGES.items()}
    assert all(f'## {node}\n' in names[page] for page in ('parameters.md', 'topics.md')
               for node in ('pose_estimator', 'simulated_camera', 'replay_camera', 'recorder'))
    assert '## models add-object\n' in names['command_line.md']


def test_the_site_is_built_without_a_broken_link(tmp_path):
    pytest.importorskip('material', reason='mkdocs-material is not installed: make docs')
    answer = subprocess.run(
        [sys.executable, '-m', 'mkdocs', 'build', '--strict', '--site-dir', str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={'NO_MKDOCS_2_WARNING': '1', 'PATH': ''})
    assert answer.returncode == 0, answer.stderr
    first = (tmp_path / 'index.html').read_text('utf-8')
    assert '<img alt="Objects never seen before' in first
    assert 'src="http' not in first
    # A table that follows a mark is one here, too.
    assert '<td><code>backend</code></td>' in (tmp_path / 'parameters.html').read_text('utf-8')


def test_a_link_to_nothing_fails_the_build(tmp_path):
    pytest.importorskip('material', reason='mkdocs-material is not installed: make docs')
    docs = tmp_path / 'docs'
    docs.mkdir()
    (docs / 'page.md').write_text('[there](nowhere.md)\n')
    configuration = (ROOT / 'mkdocs.yml').read_text().partition('\nnav:')[0]
    (tmp_path / 'mkdocs.yml').write_text(
        configuration.replace('hooks: [tools/site/hooks.py]', 'hooks: []')
        + '\nnav: [page.md]\n')
    answer = subprocess.run([sys.executable, '-m', 'mkdocs', 'build', '--strict'], cwd=tmp_path,
                            capture_output=True, text=True, check=False,
                            env={'NO_MKDOCS_2_WARNING': '1', 'PATH': ''})
    assert answer.returncode != 0
    assert "contains a link 'nowhere.md'" in answer.stderr


def test_links_that_leave_the_documents_lead_to_pages_that_show_files():
    hooks = load('hooks')
    example = hooks.target_of('../examples/subscribe_object_poses.py', 'topics.md')
    assert example == ROOT / 'examples' / 'subscribe_object_poses.py'
    assert hooks.place_of(example) == 'source/examples/subscribe_object_poses.py.md'
    assert '```python\n' in hooks.shown(example)
    assert hooks.place_of(hooks.target_of('../README.md', 'topics.md')) == 'index.md'
    assert hooks.place_of(hooks.target_of('docs/topics.md', 'index.md')) == 'topics.md'
    assert hooks.target_of('https://docs.ros.org', 'topics.md') is None
    assert hooks.target_of('../../elsewhere.md', 'topics.md') is None
