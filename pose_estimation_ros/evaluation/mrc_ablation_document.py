"""Writes docs/ablation_mrc.md, and its figures as JSON, from what the ablation measured.

The words around the tables come from docs/ablation_mrc_template.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.evaluation.ablation_order import (
    Judgement,
    filled,
    interval_text,
    order_report,
    order_table,
    summary,
)
from pose_estimation_ros.evaluation.ablation_runs import checkpoint_facts
from pose_estimation_ros.evaluation.mrc_ablation import (
    MRCAblationSettings,
    MRCVariantResult,
    read_result,
)
from pose_estimation_ros.evaluation.mrc_ablation_variants import (
    BASELINE,
    CLAIMS,
    VARIANTS,
    MRCVariant,
)
from pose_estimation_ros.evaluation.paired_statistics import (
    Interval,
    median,
    median_difference,
    paired_difference,
    share,
)
from pose_estimation_ros.evaluation.report import Report, markdown_table, write_text
from pose_estimation_ros.evaluation.view_pose_errors import PoseErrors

FloatArray = NDArray[np.float64]

# The order is judged on the first of them.
_FIGURES = ('AR', 'rotation')
_RECALLS: Mapping[str, Callable[[PoseErrors], FloatArray]] = {
    'AR_MSSD': lambda errors: errors.surface_recall,
    'AR_MSPD': lambda errors: errors.projection_recall,
    'AR': lambda errors: errors.recall}


@dataclass(frozen=True)
class MRCMeasured:
    """All results of an ablation.

    Attributes:
        settings: Its budget.
        results: Of each seed, by the name of the variant.
    """

    settings: MRCAblationSettings
    results: Mapping[str, Sequence[MRCVariantResult]]

    @classmethod
    def read(cls, settings: MRCAblationSettings, runs: Path) -> MRCMeasured:
        """Read what `measure_all` stored.

        Raises:
            ConfigurationError: If something is not measured yet.
        """
        return cls(settings, {entry.name: [read_result(runs, entry, seed)
                                           for seed in range(settings.seeds)]
                              for entry in VARIANTS})

    @property
    def baseline(self) -> MRCVariantResult:
        """The first result of the variant that the others are compared with."""
        return self.results[BASELINE][0]

    def recalls(self, name: str, figure: str) -> FloatArray:
        """Return (S, N) at which share of thresholds a view is found, by one of `_RECALLS`."""
        return np.stack([_RECALLS[figure](result.errors) for result in self.results[name]])

    def degrees(self, name: str) -> FloatArray:
        """Return (S, N) rotation errors."""
        return np.degrees([result.errors.angle for result in self.results[name]])

    def recall_gain(self, better: str, worse: str) -> Interval:
        """Return by how many points the mean of both average recalls is higher."""
        return paired_difference(self.recalls(better, 'AR'), self.recalls(worse, 'AR'))

    def rotation_gain(self, better: str, worse: str) -> Interval:
        """Return by how many degrees the median rotation error is less."""
        return median_difference(self.degrees(worse), self.degrees(better))

    def judgements(self) -> list[Judgement]:
        """Return what was measured of each step of the paper's order."""
        return [Judgement(claim, (self.recall_gain(claim.better, claim.worse),
                                  self.rotation_gain(claim.better, claim.worse)))
                for claim in CLAIMS]

    def facts(self) -> dict[str, object]:
        """Return what was run, by name."""
        settings = self.settings
        commits = {entry.commit for results in self.results.values() for entry in results}
        return {'steps': settings.steps, 'batch': settings.batch, 'rate': settings.rate,
                'average': settings.average, 'seeds': settings.seeds,
                'precision': settings.precision, 'device': settings.device,
                'training data': ', '.join(settings.data), 'test data': settings.test,
                'views': len(self.baseline.errors.angle),
                'commit of the training': ', '.join(sorted(commits))}


def write_mrc_ablation(settings: MRCAblationSettings, runs: Path, docs: Path) -> None:
    """Write ablation_mrc.md, results/ablation_mrc.json and results/ablation_mrc_order.json.

    Args:
        settings: What was measured.
        runs: Folder of the results.
        docs: Folder with `ablation_mrc_template.md`.

    Raises:
        ConfigurationError: If something is not measured yet, or the template cannot be used.
    """
    measured = MRCMeasured.read(settings, runs)
    variants, judgements = variant_report(measured), measured.judgements()
    order = order_table(judgements, ['mean AR, points', 'median rotation error less, °'])
    text = filled(docs / 'ablation_mrc_template.md', {
        'budget': budget_text(measured),
        'variants': f'{variant_table(measured)}\n{variants.facts()}',
        'order': f'{order}\n{summary(judgements, "the paper")}'})
    for report in (variants, order_report('ablation_mrc_order', judgements, _FIGURES,
                                          measured.facts(), variants.models)):
        report.write(docs / 'results')
    write_text(docs / 'ablation_mrc.md', text)


def variant_report(measured: MRCMeasured) -> Report:
    """Return the figures of all variants."""
    columns = ['variant', 'network', 'parameters', 'rotation bins', 'copies', 'ms a step']
    for name in (*(f'{figure}, %' for figure in _RECALLS), 'AR gain', 'median rotation, °',
                 'median rotation less, °'):
        columns += [name, f'{name} low', f'{name} high']
    rows = []
    for variant in VARIANTS:
        result = measured.results[variant.name][0]
        row: list[object] = [variant.name, variant.title, result.parameters, result.bins,
                             variant.copies, _milliseconds(measured, variant)]
        for found in (*(share(measured.recalls(variant.name, figure)) for figure in _RECALLS),
                      measured.recall_gain(variant.name, BASELINE),
                      median(measured.degrees(variant.name)),
                      measured.rotation_gain(variant.name, BASELINE)):
            row += [found.value, found.low, found.high]
        rows.append(row)
    return Report('ablation_mrc', columns, rows, measured.facts(),
                  checkpoint_facts(measured.settings.start_from))


def variant_table(measured: MRCMeasured) -> str:
    """Return the table of all variants for readers."""
    columns = ['network', 'parameters', 'rotation bins', 'ms a step', 'AR_MSSD, %', 'AR_MSPD, %',
               'mean AR, %', 'against `lite`, points', 'median rotation error, °',
               'less than `lite`, °']
    rows = []
    for variant in VARIANTS:
        name, result = variant.name, measured.results[variant.name][0]
        against = ['', ''] if name == BASELINE else [
            interval_text(measured.recall_gain(name, BASELINE)),
            interval_text(measured.rotation_gain(name, BASELINE))]
        rows.append([
            variant.title, f'{result.parameters / 1e6:.2f} M', result.bins,
            f'{_milliseconds(measured, variant):.0f}',
            *(range_text(share(measured.recalls(name, figure))) for figure in _RECALLS),
            against[0], range_text(median(measured.degrees(name))), against[1]])
    return markdown_table(columns, rows)


def budget_text(measured: MRCMeasured) -> str:
    """Return in words what each variant got."""
    settings, baseline = measured.settings, measured.baseline
    passes = settings.steps * settings.batch / baseline.training_views
    kind = 'processor time of one core' if settings.device == 'cpu' else 'time on a GPU'
    start = ('from scratch' if settings.start_from is None else
             'with the weights of one trained network in all layers that are alike in all '
             'variants, the others being random,')
    return (f'Every variant began {start} and was trained for {settings.steps} steps of '
            f'{settings.batch} views, highest rate {settings.rate:g}, by {settings.seeds} '
            f'seed{"s" * (settings.seeds != 1)}: {passes:.1f} times through '
            f'{baseline.training_views} views of {baseline.objects} objects. Crops are '
            f'{baseline.crop} pixels wide. The moving averages of the weights were measured on '
            f'{len(baseline.errors.angle)} held-out views, cut out by their true boxes. A step is '
            f'{kind}.')


def range_text(interval: Interval) -> str:
    """Return a figure with its interval."""
    return f'{interval.value:.1f} ({interval.low:.1f} to {interval.high:.1f})'


def _milliseconds(measured: MRCMeasured, variant: MRCVariant) -> float:
    return 1e3 * mean(result.seconds for result in measured.results[variant.name])
