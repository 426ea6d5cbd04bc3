"""Writes docs/ablation.md, and its figures as JSON, from what the ablation measured.

The words around the tables come from docs/ablation_template.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.evaluation.ablation import AblationSettings, VariantResult, read_result
from pose_estimation_ros.evaluation.ablation_variants import (
    BASELINE,
    CLAIMS,
    VARIANTS,
    Claim,
    Variant,
)
from pose_estimation_ros.evaluation.paired_statistics import Interval, paired_difference, share
from pose_estimation_ros.evaluation.report import Report, markdown_table, write_text

# The order is judged on the first of them.
LIMITS: tuple[tuple[int, int], ...] = ((5, 2), (10, 5))
REPRODUCED, REVERSED, OPEN = 'reproduced', 'reversed', 'not decided'
_HASH_DIGITS = 12

Hits = NDArray[np.bool_]


@dataclass(frozen=True)
class Judgement:
    """What was measured of a step of the papers' order.

    Attributes:
        claim: The step.
        gains: Percentage points by which the first variant is better, for each of `LIMITS`.
    """

    claim: Claim
    gains: tuple[Interval, ...]

    @property
    def verdict(self) -> str:
        """Whether the order is as in the papers, by the first of the limits."""
        gain = self.gains[0]
        if not gain.excludes_zero:
            return OPEN
        return REPRODUCED if gain.value > 0 else REVERSED


@dataclass(frozen=True)
class Measured:
    """All results of an ablation.

    Attributes:
        settings: Its budget.
        results: Of each seed, by the name of the variant.
    """

    settings: AblationSettings
    results: Mapping[str, Sequence[VariantResult]]

    @classmethod
    def read(cls, settings: AblationSettings, runs: Path) -> Measured:
        """Read what `measure_all` stored.

        Raises:
            ConfigurationError: If something is not measured yet.
        """
        return cls(settings, {entry.name: [read_result(runs, entry, seed)
                                           for seed in range(settings.seeds)]
                              for entry in VARIANTS})

    def hits(self, name: str, limit: tuple[int, int], domain: str = '') -> Hits:
        """Return (S, N) which poses are within limits, of one domain or of all."""
        return np.stack([np.concatenate([errors.within(*limit)
                                         for key, errors in result.errors.items()
                                         if domain in ('', key)])
                         for result in self.results[name]])

    def gain(self, better: str, worse: str, limit: tuple[int, int]) -> Interval:
        """Return by how many percentage points a variant is better than another one."""
        return paired_difference(self.hits(better, limit), self.hits(worse, limit))

    def failures_removed(self, name: str) -> float:
        """Return by how many percent a variant's failures at 5°2cm are fewer than SPD's."""
        failures = 100.0 - share(self.hits(BASELINE, LIMITS[0])).value
        return 100.0 * self.gain(name, BASELINE, LIMITS[0]).value / max(failures, 1e-9)

    def domains(self) -> dict[str, int]:
        """Return how many instances of each domain were measured."""
        return {name: len(errors.rotation)
                for name, errors in self.results[BASELINE][0].errors.items()}

    def commits(self) -> str:
        """Return the commits of the code that measured."""
        found = {result.commit for results in self.results.values() for result in results}
        return ', '.join(sorted(found))

    def judgements(self) -> list[Judgement]:
        """Return what was measured of each step of the papers' order."""
        return [Judgement(claim, tuple(self.gain(claim.better, claim.worse, limit)
                                       for limit in LIMITS)) for claim in CLAIMS]


def write_ablation(settings: AblationSettings, runs: Path, docs: Path) -> None:
    """Write ablation.md, results/ablation.json and results/ablation_order.json.

    Args:
        settings: What was measured.
        runs: Folder of the results.
        docs: Folder with `ablation_template.md`.

    Raises:
        ConfigurationError: If something is not measured yet, or the template cannot be used.
    """
    measured = Measured.read(settings, runs)
    variants = variant_report(measured)
    judgements = measured.judgements()
    text = filled(docs / 'ablation_template.md', {
        'budget': budget_text(measured),
        'variants': f'{variant_table(measured)}\n{variants.facts()}',
        'order': f'{order_table(judgements)}\n{summary(judgements)}'})
    for report in (variants, order_report(measured)):
        report.write(docs / 'results')
    write_text(docs / 'ablation.md', text)


def variant_report(measured: Measured) -> Report:
    """Return the figures of all variants."""
    columns = ['variant', 'network', 'parameters', 'ms a step']
    for a, b in LIMITS:
        name = f'{a}°{b}cm'
        columns += [f'{name}, %', f'{name} low', f'{name} high', f'{name} gain',
                    f'{name} gain low', f'{name} gain high']
    columns += ['failures removed, %', *(f'{domain} 5°2cm, %' for domain in measured.domains())]
    rows = []
    for variant in VARIANTS:
        row: list[object] = [variant.name, variant.title, *_cost(measured, variant)]
        for limit in LIMITS:
            for found in (share(measured.hits(variant.name, limit)),
                          measured.gain(variant.name, BASELINE, limit)):
                row += [found.value, found.low, found.high]
        row += [measured.failures_removed(variant.name),
                *(share(measured.hits(variant.name, LIMITS[0], domain)).value
                  for domain in measured.domains())]
        rows.append(row)
    return Report('ablation', columns, rows, _facts(measured), _checkpoint(measured.settings))


def order_report(measured: Measured) -> Report:
    """Return what was measured of the papers' order."""
    columns = ['claim', 'better', 'worse', 'verdict']
    for a, b in LIMITS:
        columns += [f'{a}°{b}cm gain', f'{a}°{b}cm low', f'{a}°{b}cm high']
    rows = [[entry.claim.text, entry.claim.better, entry.claim.worse, entry.verdict,
             *(value for gain in entry.gains for value in (gain.value, gain.low, gain.high))]
            for entry in measured.judgements()]
    return Report('ablation_order', columns, rows, _facts(measured),
                  _checkpoint(measured.settings))


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


def variant_table(measured: Measured) -> str:
    """Return the table of all variants for readers."""
    domains = measured.domains()
    columns = ['network', 'parameters', 'ms a step', '5°2cm, %', 'against SPD', '10°5cm, %',
               'against SPD', 'failures removed, %', *(f'5°2cm {domain}, %' for domain in domains)]
    rows = []
    for variant in VARIANTS:
        cells: list[str] = []
        for limit in LIMITS:
            cells.append(f'{share(measured.hits(variant.name, limit)).value:.1f}')
            cells.append('' if variant.name == BASELINE else
                         interval_text(measured.gain(variant.name, BASELINE, limit)))
        cells.append('' if variant.name == BASELINE else
                     f'{measured.failures_removed(variant.name):.1f}')
        cells += [f'{share(measured.hits(variant.name, LIMITS[0], domain)).value:.1f}'
                  for domain in domains]
        parameters, milliseconds = _cost(measured, variant)
        rows.append([variant.title, f'{parameters / 1e6:.2f} M', f'{milliseconds:.0f}', *cells])
    return markdown_table(columns, rows)


def order_table(judgements: Sequence[Judgement]) -> str:
    """Return the table of the papers' order for readers."""
    return markdown_table(
        ['claim', '5°2cm, points', '10°5cm, points', 'the order is'],
        [[entry.claim.text, *map(interval_text, entry.gains), entry.verdict]
         for entry in judgements])


def budget_text(measured: Measured) -> str:
    """Return in words what each variant got."""
    settings = measured.settings
    counts = measured.domains()
    instances = ' and '.join(f'{count} of the {name} domain' for name, count in counts.items())
    if settings.start_from is None:
        start = 'Every variant began from scratch'
    else:
        start = ('Every variant began with the same weights of a trained SPD lite, all new '
                 'modules so that they change nothing at first,')
    return (f'{start} and was trained for {settings.steps} steps of {settings.batch} objects '
            f'with {settings.points} points, highest rate {settings.rate:g}, by '
            f'{settings.seeds} seeds. The moving averages of the weights were measured on '
            f'{sum(counts.values())} test instances ({instances}), of which at least '
            f'{settings.visibility:.0%} are seen, with {settings.test_points} points, by the '
            'alignment and the errors of the other tables; the likeliest placement counts.')


def summary(judgements: Sequence[Judgement]) -> str:
    """Return in words where the papers' order is reproduced and where not."""
    lines = []
    for verdict, text in (
            (REPRODUCED, 'The order is that of the papers in {0} of {1} comparisons: {2}.'),
            (REVERSED, '**It is not** in {0} of {1}, where the interval lies below zero: {2}.'),
            (OPEN, 'At this budget {0} of {1} cannot be decided: {2}.')):
        found = [entry for entry in judgements if entry.verdict == verdict]
        if found:
            named = '; '.join(_named(entry) for entry in found)
            lines.append(text.format(len(found), len(judgements), named))
        elif verdict == REPRODUCED:
            lines.append("**None of the papers' comparisons is reproduced** at this budget.")
    return '\n\n'.join(lines)


def interval_text(interval: Interval) -> str:
    """Return a difference with its interval."""
    return f'{interval.value:+.1f} ({interval.low:+.1f} to {interval.high:+.1f})'


def _named(judgement: Judgement) -> str:
    return f'{judgement.claim.text} ({judgement.gains[0].value:+.1f})'


def _cost(measured: Measured, variant: Variant) -> tuple[int, float]:
    """Return a variant's parameters and the milliseconds of processor time of a step."""
    results = measured.results[variant.name]
    return results[0].parameters, 1e3 * mean(result.seconds for result in results)


def _facts(measured: Measured) -> dict[str, object]:
    settings = measured.settings
    return {'steps': settings.steps, 'batch': settings.batch, 'points': settings.points,
            'rate': settings.rate, 'average': settings.average, 'seeds': settings.seeds,
            'precision': settings.precision, 'training data': ', '.join(settings.data),
            'test data': ', '.join(settings.test),
            'instances': sum(measured.domains().values()),
            'commit of the training': measured.commits()}


def _checkpoint(settings: AblationSettings) -> dict[str, str]:
    """Return the beginning of the SHA-256 hash of what the variants began with."""
    path = settings.start_from
    if path is None:
        return {}
    return {f'start: {path.parent.name}/{path.name}':
            hashlib.sha256(path.read_bytes()).hexdigest()[:_HASH_DIGITS]}
