"""Which samples make a batch follows from seed and step alone."""

from collections import Counter

import numpy as np
import pytest

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.training.batch_plan import (
    BatchRequest,
    Draw,
    PassOrder,
    WeightedOrder,
    drawn,
    parse_ratio,
)


def draws(request: BatchRequest, grain: int = 4) -> list[tuple[int, int]]:
    """Return (source, running number) of every sample, in order."""
    return [(draw.source, number) for part in request.grains(grain) for draw in part.draws
            for number in range(draw.first, draw.first + draw.count)]


def test_sources_are_mixed_in_their_ratio_exactly():
    numbers = [sample for step in range(10)
               for sample in draws(BatchRequest(step, step, 8, ratio=(3, 1)))]
    counts = Counter(source for source, _ in numbers)
    assert counts == {0: 60, 1: 20}
    for source, count in counts.items():
        assert sorted(n for s, n in numbers if s == source) == list(range(count))
    # Within each batch, too.
    assert Counter(source for source, _ in numbers[8:16]) == {0: 6, 1: 2}


def test_groups_are_of_one_source_and_mixed_in_the_ratio():
    found = [(draw.source, draw.first) for step in range(6) for rank in range(2)
             for grain in BatchRequest(step, step, 16, ratio=(1, 3), before=(16, 48), rank=rank,
                                       ranks=2).first_of_groups(8) for draw in grain.draws]
    assert len(found) == 12
    assert sorted(number for source, number in found if source == 0) == [2, 3, 4]
    assert sorted(number for source, number in found if source == 1) == list(range(6, 15))
    with pytest.raises(ConfigurationError, match='in groups of 8; choose a multiple of 16'):
        list(BatchRequest(0, 0, 24, ranks=2).first_of_groups(8))


@pytest.mark.parametrize('ratio', [(1,), (3, 1), (2, 3, 2), (1, 0)])
def test_every_sample_comes_from_one_source(ratio: tuple[int, ...]):
    for position in range(50):
        assert sum(drawn(position, ratio)) == position
    before = np.array([drawn(position, ratio) for position in range(51)])
    assert (np.diff(before, axis=0) >= 0).all()


def test_processes_share_a_batch_without_gap_or_overlap():
    whole = draws(BatchRequest(7, 7, 24, ratio=(3, 1)))
    shares = [draws(BatchRequest(7, 7, 24, ratio=(3, 1), rank=rank, ranks=3)) for rank in range(3)]
    assert [sample for share in shares for sample in share] == whole
    assert [len(share) for share in shares] == [8, 8, 8]


def test_grains_have_random_numbers_of_their_own_wherever_they_are_made():
    def chances(rank: int, ranks: int, step: int = 3, seed: int = 0) -> list[float]:
        request = BatchRequest(step, step, 16, seed, rank=rank, ranks=ranks)
        return [grain.generator.random() for grain in request.grains(4)]

    alone = chances(0, 1)
    assert chances(0, 2) + chances(1, 2) == alone
    assert len({*alone, *chances(0, 1, step=4), *chances(0, 1, seed=1)}) == 12


def test_a_stage_goes_on_with_each_source_where_the_last_one_stopped():
    request = BatchRequest(100, 0, 8, ratio=(3, 1), before=(50, 7))
    assert request.drawn_before() == [50, 7]
    assert draws(request)[0] == (0, 50)


def test_a_batch_that_cannot_be_shared_says_what_can():
    with pytest.raises(ConfigurationError, match='choose a multiple of 12 as --batch'):
        list(BatchRequest(0, 0, 16, ranks=3).grains(4))


def test_each_pass_takes_every_item_once():
    order = PassOrder(7)
    items = np.concatenate([order.items(Draw(0, first, 5, (3, 0))) for first in range(0, 35, 5)])
    passes = items.reshape(5, 7)
    assert (np.sort(passes, axis=1) == np.arange(7)).all()
    assert len({tuple(one) for one in passes.tolist()}) > 1
    np.testing.assert_array_equal(order.items(Draw(0, 10, 4, (3, 0))), items[10:14])


def test_weighted_items_are_drawn_as_often_as_they_weigh():
    order = WeightedOrder(np.array([1.0, 0.0, 3.0]))
    items = np.concatenate([order.items(Draw(0, first, 8, (0, 0))) for first in range(0, 4000, 8)])
    shares = np.bincount(items, minlength=3) / len(items)
    assert shares[1] == 0.0
    assert shares[2] == pytest.approx(0.75, abs=0.03)


def test_ratios_are_read_and_faults_named():
    assert parse_ratio('3:1', 2) == (3, 1)
    assert parse_ratio('', 3) == (1, 1, 1)
    for text in ('3', '3:1:1', '3:x', '0:0', '-1:2'):
        with pytest.raises(ConfigurationError, match=f"the ratio '{text}'"):
            parse_ratio(text, 2)
