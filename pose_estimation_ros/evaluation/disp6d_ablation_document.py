"""Writes docs/ablation_disp6d.md, and its figures as JSON, from what the ablation measured.

The words around the tables come from docs/ablation_disp6d_template.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.evaluation.ablation_order import (
    Judgement,
    filled,
    interval_text,
    order_report,
    order_table,
    summary,
)
from pose_estimation_ros.evaluation.disp6d_ablation import (
    BASELINE,
    CLAIMS,
    VARIANTS,
    Disp6dAblationSettings,
    Disp6dVariantResult,
    read_result,
)
from pose_estimation_ros.evaluation.paired_statistics import (
    Interval,
    median,
    median_difference,
    paired_difference,
    share,
)
from pose_estimation_ros.evaluation.report import Report, markdown_table, write_text

FloatArray = NDArray[np.float64]

LIMITS = (10, 20, 30)
# The order is judged on the share within this angle, degrees.
_JUDGED = 20


@dataclass(frozen=True)
class Disp6dMeasured:
    """All results of an ablation.

    Attributes:
        settings: Its budget.
        results: Of each seed, by the name of the variant.
    """

    settings: Disp6dAblationSettings
    results: Mapping[str, Sequence[Disp6dVariantResult]]

    @classmethod
    def read(cls, settings: Disp6dAblationSettings, runs: Path) -> Disp6dMeasured:
        """Read what `measure_all` stored.

        Raises:
            ConfigurationError: If something is not measured yet, or not on the same pictures.
        """
        results = {entry.name: [read_result(runs, entry, seed) for seed in range(settings.seeds)]
                   for entry in VARIANTS}
        if len({entry.categories for found in results.values() for entry in found}) != 1:
            raise ConfigurationError(f'the results of {runs} are of different test pictures; '
                                     'give another folder as --runs and measure again')
        return cls(settings, results)

    def degrees(self, name: str) -> FloatArray:
        """Return (S, N) rotation errors."""
        return np.degrees([result.errors for result in self.results[name]])

    def gain(self, better: str, worse: str) -> Interval:
        """Return by how many points more pictures are within the angle that is judged."""
        return paired_difference(self.degrees(better) <= _JUDGED, self.degrees(worse) <= _JUDGED)

    def median_gain(self, better: str, worse: str) -> Interval:
        """Return by how many degrees the median error is less."""
        return median_difference(self.degrees(worse), self.degrees(better))

    def judgements(self) -> list[Judgement]:
        """Return what was measured of each step of the paper's order."""
        return [Judgement(claim, (self.gain(claim.better, claim.worse),
                                  self.median_gain(claim.better, claim.worse)))
                for claim in CLAIMS]

    def facts(self) -> dict[str, object]:
        """Return what was run, by name."""
        settings = self.settings
        commits = {entry.commit for results in self.results.values() for entry in results}
        return {'steps': settings.steps, 'batch': settings.batch, 'rate': settings.rate,
                'average': settings.average, 'seeds': settings.seeds, 'crop': settings.crop,
                'device': settings.device, 'training data': ', '.join(settings.data),
                'test data': settings.test, 'pictures': self.degrees(BASELINE).shape[1],
                'commit of the training': ', '.join(sorted(commits))}


def write_disp6d_ablation(settings: Disp6dAblationSettings, runs: Path, docs: Path) -> None:
    """Write ablation_disp6d.md, results/ablation_disp6d.json and its `_order.json`.

    Args:
        settings: What was measured.
        runs: Folder of the results.
        docs: Folder with `ablation_disp6d_template.md`.

    Raises:
        ConfigurationError: If something is not measured yet, or the template cannot be used.
    """
    measured = Disp6dMeasured.read(settings, runs)
    variants, judgements = variant_report(measured), measured.judgements()
    order = order_table(judgements, [f'within {_JUDGED}°, points', 'median error less, °'])
    text = filled(docs / 'ablation_disp6d_template.md', {
        'budget': budget_text(measured),
        'variants': f'{variant_table(measured)}\n{variants.facts()}',
        'categories': category_table(measured),
        'order': f'{order}\n{summary(judgements, "the paper")}'})
    figures = (f'within {_JUDGED}', 'median')
    for report in (variants, order_report('ablation_disp6d_order', judgements, figures,
                                          measured.facts(), variants.models)):
        report.write(docs / 'results')
    write_text(docs / 'ablation_disp6d.md', text)


def variant_report(measured: Disp6dMeasured) -> Report:
    """Return the figures of all variants."""
    columns = ['variant', 'network']
    for name in (*(f'within {limit}°, %' for limit in LIMITS), f'within {_JUDGED}° gain',
                 'median error, °', 'median error less, °'):
        columns += [name, f'{name} low', f'{name} high']
    rows = []
    for variant in VARIANTS:
        degrees = measured.degrees(variant.name)
        row: list[object] = [variant.name, variant.title]
        for found in (*(share(degrees <= limit) for limit in LIMITS),
                      measured.gain(variant.name, BASELINE), median(degrees),
                      measured.median_gain(variant.name, BASELINE)):
            row += [found.value, found.low, found.high]
        rows.append(row)
    return Report('ablation_disp6d', columns, rows, measured.facts(), {})


def variant_table(measured: Disp6dMeasured) -> str:
    """Return the table of all variants for readers."""
    columns = ['network', *(f'within {limit}°, %' for limit in LIMITS),
               f'within {_JUDGED}°, against `lite`, points', 'median error, °']
    rows = []
    for variant in VARIANTS:
        degrees = measured.degrees(variant.name)
        middle = median(degrees)
        against = '' if variant.name == BASELINE else interval_text(
            measured.gain(variant.name, BASELINE))
        rows.append([variant.title, *(f'{share(degrees <= limit).value:.1f}' for limit in LIMITS),
                     against, f'{middle.value:.1f} ({middle.low:.1f} to {middle.high:.1f})'])
    return markdown_table(columns, rows)


def category_table(measured: Disp6dMeasured) -> str:
    """Return for each category the share within the angle that is judged, of all variants."""
    shown = np.array(measured.results[BASELINE][0].categories)
    names = sorted(set(shown))
    rows = [[variant.title, *(
        f'{share(measured.degrees(variant.name)[:, shown == name] <= _JUDGED).value:.1f}'
        for name in names)] for variant in VARIANTS]
    return markdown_table([f'within {_JUDGED}°, %', *names], rows)


def budget_text(measured: Disp6dMeasured) -> str:
    """Return in words what each variant got."""
    settings, first = measured.settings, measured.results[BASELINE][0]
    passes = settings.steps * settings.batch / first.training_views
    return (f'Every variant began with random weights, equal in all, and was trained for '
            f'{settings.steps} steps of {settings.batch} crops of {settings.crop} pixels, highest '
            f'rate {settings.rate:g}, by {settings.seeds} seed{"s" * (settings.seeds != 1)}: '
            f'{passes:.1f} times through {first.training_views} pictures. The moving averages of '
            f'the weights were measured on {len(first.errors)} pictures of objects that are not '
            'among those of the training, with true boxes and masks.')
