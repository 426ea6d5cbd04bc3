"""Writes docs/ablation.md, and its figures as JSON, from what the ablation measured.

The words around the tables come from docs/ablation_template.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.evaluation.ablation import AblationSettings, VariantResult, read_result
from pose_estimation_ros.evaluation.ablation_order import (
    Judgement,
    filled,
    interval_text,
    order_report,
    order_table,
    summary,
)
from pose_estimation_ros.evaluation.ablation_runs import checkpoint_facts
from pose_estimation_ros.evaluation.ablation_variants import BASELINE, CLAIMS, VARIANTS, Variant
from pose_estimation_ros.evaluation.paired_statistics import Interval, paired_difference, share
from pose_estimation_ros.evaluation.report import Report, markdown_table, write_text

# The order is judged on the first of them.
LIMITS: tuple[tuple[int, int], ...] = ((5, 2), (10, 5))
_FIGURES = tuple(f'{degrees}°{centimetres}cm' for degrees, centimetres in LIMITS)

Hits = NDArray[np.bool_]


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
        'order': f'{order_table(judgements, [f"{name}, points" for name in _FIGURES])}\n'
                 f'{summary(judgements, "the papers")}'})
    order = order_report('ablation_order', judgements, _FIGURES, _facts(measured),
                         variants.models)
    for report in (variants, order):
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
    return Report('ablation', columns, rows, _facts(measured),
                  checkpoint_facts(measured.settings.start_from))


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
