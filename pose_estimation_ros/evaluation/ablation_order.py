"""A paper's order of variants, judged by what was measured, and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.evaluation.paired_statistics import Interval
from pose_estimation_ros.evaluation.report import Report, markdown_table

REPRODUCED, REVERSED, OPEN = 'reproduced', 'reversed', 'not decided'


@dataclass(frozen=True)
class Claim:
    """One step of a paper's order: the first variant is the better one.

    Attributes:
        better: Name of a variant.
        worse: Name of the one it is compared with.
        text: The claim in words.
    """

    better: str
    worse: str
    text: str


@dataclass(frozen=True)
class Judgement:
    """What was measured of a claim.

    Attributes:
        claim: The claim.
        gains: By how much the first variant is better, by each figure that is compared.
    """

    claim: Claim
    gains: tuple[Interval, ...]

    @property
    def verdict(self) -> str:
        """Whether the order is as claimed, by the first of the figures."""
        gain = self.gains[0]
        if not gain.excludes_zero:
            return OPEN
        return REPRODUCED if gain.value > 0 else REVERSED


def order_report(name: str, judgements: Sequence[Judgement], figures: Sequence[str],
                 settings: Mapping[str, object], models: Mapping[str, str]) -> Report:
    """Return what was measured of claims.

    Args:
        name: Of the report.
        judgements: The claims.
        figures: Names of the figures that are compared.
        settings: What was run.
        models: What it began with.
    """
    columns = ['claim', 'better', 'worse', 'verdict',
               *(f'{figure} {part}' for figure in figures for part in ('gain', 'low', 'high'))]
    rows = [[entry.claim.text, entry.claim.better, entry.claim.worse, entry.verdict,
             *(value for gain in entry.gains for value in (gain.value, gain.low, gain.high))]
            for entry in judgements]
    return Report(name, columns, rows, settings, models)


def order_table(judgements: Sequence[Judgement], figures: Sequence[str]) -> str:
    """Return the table of claims for readers.

    Args:
        judgements: The claims.
        figures: Names of the figures that are compared, with their units.
    """
    return markdown_table(
        ['claim', *figures, 'the order is'],
        [[entry.claim.text, *map(interval_text, entry.gains), entry.verdict]
         for entry in judgements])


def summary(judgements: Sequence[Judgement], source: str) -> str:
    """Return in words where the order is reproduced and where not.

    Args:
        judgements: The claims.
        source: Whose they are, such as 'the papers'.
    """
    lines = []
    for verdict, text in (
            (REPRODUCED, 'The order is that of {3} in {0} of {1} comparisons: {2}.'),
            (REVERSED, '**It is not** in {0} of {1}, where the interval lies below zero: {2}.'),
            (OPEN, 'At this budget {0} of {1} cannot be decided: {2}.')):
        found = [entry for entry in judgements if entry.verdict == verdict]
        if found:
            named = '; '.join(_named(entry) for entry in found)
            lines.append(text.format(len(found), len(judgements), named, source))
        elif verdict == REPRODUCED:
            lines.append(f'**None of the comparisons of {source} is reproduced** at this budget.')
    return '\n\n'.join(lines)


def interval_text(interval: Interval) -> str:
    """Return a difference with its interval."""
    return f'{interval.value:+.1f} ({interval.low:+.1f} to {interval.high:+.1f})'


def filled(template: Path, texts: Mapping[str, str]) -> str:
    """Return a template with each `{{name}}` replaced by the text of that name.

    Raises:
        ConfigurationError: If it is missing, or has not exactly one mark for each text.
    """
    if not template.is_file():
        raise ConfigurationError(f'{template} is missing; give the docs folder of the repository')
    text = template.read_text(encoding='utf-8')
    for name, content in texts.items():
        mark = f'{{{{{name}}}}}'
        if text.count(mark) != 1:
            raise ConfigurationError(f'{template} holds {mark} {text.count(mark)} times; it '
                                     'belongs there once')
        text = text.replace(mark, content)
    return text


def _named(judgement: Judgement) -> str:
    return f'{judgement.claim.text} ({judgement.gains[0].value:+.1f})'
