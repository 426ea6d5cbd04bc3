"""Writes the pages that are made from the code: parameters, topics, commands.

    .venv/bin/python tools/site/pages.py

`make pages` calls it. A test compares what is committed with what this would write.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pose_estimation_ros.cli.command_reference import (
    CommandEntry,
    CommandParameter,
    commands_of,
)
from pose_estimation_ros.cli.main import PROGRAM, app
from pose_estimation_ros.cli.parameters import NodeName, specs_of
from pose_estimation_ros.evaluation.accuracy_pages import replace_between
from pose_estimation_ros.nodes.interface import NODE_TOPICS, TopicSpec
from pose_estimation_ros.nodes.parameters import markdown_table, yaml_defaults

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / 'docs'


def pages() -> dict[Path, str]:
    """Return every file that is made from the code, whole or in part, by its path.

    The parts stand between marks such as `<!-- pose_estimator: begin -->`.
    """
    parameters = {node.value: markdown_table(specs_of(node)) for node in NodeName}
    topics = {node: topic_table(topics) for node, topics in NODE_TOPICS.items()}
    return {
        DOCS / 'parameters.md': filled(DOCS / 'parameters.md', parameters),
        DOCS / 'topics.md': filled(DOCS / 'topics.md', topics),
        DOCS / 'command_line.md': filled(DOCS / 'command_line.md', {
            'commands': command_sections()}),
        ROOT / 'config' / 'pose_estimation.yaml': yaml_defaults(
            NodeName.POSE_ESTIMATOR.value, specs_of(NodeName.POSE_ESTIMATOR)),
    }


def filled(path: Path, parts: Mapping[str, str]) -> str:
    """Return the text of a page with each part between its marks.

    Raises:
        ConfigurationError: If marks are missing.
    """
    text = path.read_text('utf-8')
    for mark, part in parts.items():
        text = replace_between(text, mark, part)
    return text


def topic_table(topics: Iterable[TopicSpec]) -> str:
    """Return topics and services of a node as a table."""
    return _table(('', 'name', 'type', 'only with', 'content'), (
        (topic.direction.value, f'`{topic.name}`', topic.type,
         f'`{topic.only_if}`' if topic.only_if else '', topic.meaning) for topic in topics))


def command_sections() -> str:
    """Return a table of all commands, then each with its arguments and options."""
    entries = list(commands_of(app))
    overview = _table(('command', 'does'), (
        (f'[`{" ".join(entry.path)}`](#{_anchor(entry)})', _one_line(entry.help.split('\n\n')[0]))
        for entry in entries))
    return '\n'.join((overview, *map(_command_section, entries)))


def _anchor(entry: CommandEntry) -> str:
    return '-'.join(entry.path)


def _command_section(entry: CommandEntry) -> str:
    usage = ' '.join((PROGRAM, *entry.path, *(
        item.names[0].upper() if item.required else f'[{item.names[0].upper()}]'
        for item in entry.parameters if not item.is_option)))
    parts = [f'## {" ".join(entry.path)}\n', entry.help.strip() + '\n', f'`{usage}`\n']
    if entry.parameters:
        parts.append(_table(('argument or option', 'value', 'default', 'meaning'),
                            map(_parameter_row, entry.parameters)))
    return '\n'.join(parts)


def _parameter_row(item: CommandParameter) -> tuple[str, str, str, str]:
    names = ', '.join(f'`{name if item.is_option else name.upper()}`' for name in item.names)
    default = '**required**' if item.required else f'`{item.default}`' if item.default else ''
    return names, item.kind, default, _one_line(item.help)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ('---',) * len(head), *rows]
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


def _one_line(text: str) -> str:
    # A pipe would end the cell.
    return ' '.join(text.split()).replace('|', r'\|')


def main() -> None:
    """Write the pages, and say which have changed."""
    for path, text in pages().items():
        if not path.exists() or path.read_text('utf-8') != text:
            path.write_text(text, 'utf-8')
            print(path.relative_to(ROOT))


if __name__ == '__main__':
    main()
