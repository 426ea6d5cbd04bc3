"""What README.md says about the package is what the package declares."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / 'README.md').read_text()


def test_the_result_is_to_be_seen_before_anything_has_to_be_read_at_length():
    picture = re.search(r'!\[[^]]*\]\(([^)]+)\)', README)
    assert (ROOT / picture[1]).stat().st_size > 10_000
    assert len(README[:picture.start()].split()) < 120


def test_it_is_short():
    assert len(README.splitlines()) < 200


def test_links_to_files_lead_somewhere():
    links = re.findall(r'\]\((?!https?:)([^)#]+)', README)
    assert len(links) >= 5
    assert not [link for link in links if not (ROOT / link).exists()]


def test_every_folder_of_the_layout_exists():
    design = (ROOT / 'docs' / 'design.md').read_text()
    layout = design.partition('## Layout')[2].partition('```')[2].partition('```')[0]
    parts = re.findall(r'^  (\w+(?:/|\.py))', layout, re.MULTILINE)
    assert len(parts) >= 12
    assert not [part for part in parts if not (ROOT / 'pose_estimation_ros' / part).exists()]
    undescribed = {path.name for path in (ROOT / 'pose_estimation_ros').iterdir()
                   if path.is_dir() and (path / '__init__.py').exists()} - {
                       part.rstrip('/') for part in parts}
    assert not undescribed


def test_commands_named_with_make_exist():
    targets = set(re.findall(r'^([a-z-]+):', (ROOT / 'Makefile').read_text(), re.MULTILINE))
    named = set(re.findall(r'make ([a-z-]+)', README))
    assert {'demo', 'test'} <= named <= targets
