"""Lets MkDocs build the pages of this repository as they are read on GitHub.

README.md is the first page of the site. A link that leaves docs/ leads to a page that shows the
file, or lists the folder; a link to nothing stays as it is, for the strict build to refuse.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
HOME = 'index.md'
# Where the files are shown that are not documents.
SHOWN = 'source'
LANGUAGES = {'.py': 'python', '.yaml': 'yaml', '.xml': 'xml', '.rviz': 'yaml', '.rst': 'rst'}

_LINK = re.compile(r'(?<=\]\()([^)#\s]+)(?=[)#])')
_ELSEWHERE = re.compile(r'[a-z]+:')


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the first page and a page for every file outside docs/ that a page links to."""
    files.append(File.generated(config, HOME, content=(ROOT / 'README.md').read_text('utf-8')))
    targets = {target for file in files.documentation_pages()
               for link in _LINK.findall(file.content_string)
               if (target := target_of(link, file.src_uri)) is not None}
    for target in sorted(targets):
        if not is_document(target) and target.exists():
            files.append(File.generated(config, place_of(target), content=shown(target)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Lead the links of a page to where the site has their targets."""
    here = page.file.src_uri

    def rewritten(match: re.Match[str]) -> str:
        target = target_of(match[0], here)
        if target is None or not target.exists():
            return match[0]
        return os.path.relpath(place_of(target), str(Path(here).parent))

    return _LINK.sub(rewritten, markdown)


def target_of(link: str, page: str) -> Path | None:
    """Return the file or folder of the repository that a link of a page means, None if none.

    Args:
        link: As written, without its #section.
        page: The page's path in the site.
    """
    if _ELSEWHERE.match(link) or page.startswith(f'{SHOWN}/'):
        return None
    folder = ROOT if page == HOME else (ROOT / 'docs' / page).parent
    target = Path(os.path.normpath(folder / link))
    return target if target.is_relative_to(ROOT) else None


def is_document(target: Path) -> bool:
    """Tell whether the site has a file without our help."""
    return target == ROOT / 'README.md' or target.is_relative_to(ROOT / 'docs')


def place_of(target: Path) -> str:
    """Return the path in the site of a file of the repository."""
    if target == ROOT / 'README.md':
        return HOME
    if is_document(target):
        return str(target.relative_to(ROOT / 'docs'))
    return f'{SHOWN}/{target.relative_to(ROOT)}.md'


def shown(target: Path) -> str:
    """Return the page that shows a file as it is, or what a folder holds."""
    title = f'# {target.relative_to(ROOT)}\n\n'
    if target.is_dir():
        names = sorted(f'- `{path.name}{"/" if path.is_dir() else ""}`'
                       for path in target.iterdir() if path.name != '__pycache__')
        return title + '\n'.join(names) + '\n'
    text = target.read_text('utf-8')
    if target.suffix == '.md':
        # Its own links are of its own folder.
        return re.sub(r'\[([^]]*)\]\((?!https?:)[^)]*\)', r'\1', text)
    return f'{title}````{LANGUAGES.get(target.suffix, "")}\n{text}\n````\n'


def on_post_page(output: str, **_: object) -> str:
    """Return a page without what the theme would load from elsewhere.

    It is a stand-in for workers where pages are opened as files: there the search does not work.
    """
    return re.sub(r'<script src="https://unpkg\.com/iframe-worker/[^"]*"></script>', '', output)
