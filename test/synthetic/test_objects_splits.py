"""Instance splits are disjoint whatever is asked for."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.synthetic.splits import SPLITS, instance_seed, split_of_seed


def test_no_seed_is_in_two_splits():
    seeds = [{instance_seed(split, index) for index in range(3000)} for split in SPLITS]
    assert sum(len(chosen) for chosen in seeds) == 3 * 3000
    assert len(set.union(*seeds)) == 3 * 3000


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(SPLITS), st.integers(0, 10**9))
def test_every_seed_tells_its_split(split, index):
    assert split_of_seed(instance_seed(split, index)) == split


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**9))
def test_every_seed_belongs_to_one_split(seed):
    assert split_of_seed(seed) in SPLITS


def test_an_unknown_split_names_the_known_ones():
    with pytest.raises(ConfigurationError, match=r"'dev'.*train, val, test"):
        instance_seed('dev', 0)
