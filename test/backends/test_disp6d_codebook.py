"""Looking up codes: the published choice, and that storing them short changes none."""

from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.backends.disp6d_codebook import (
    CodeTable,
    PackedCodes,
    nearest_rows,
    unit_length,
)
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.hyperspherical_harmonics import quaternion_harmonics
from pose_estimation_ros.core.reference_rotations import reference_rotations

PUBLISHED = np.load(Path(__file__).parents[1] / 'data/disp6d/network.npz')


@pytest.mark.parametrize('network', ['cad', 'categories'])
def test_the_published_code_is_found(network: str) -> None:
    table = CodeTable(PackedCodes.of(PUBLISHED[f'{network}_codebook'][0].T))
    found = table.nearest(PUBLISHED[f'{network}_pose'])
    np.testing.assert_array_equal(found.index, PUBLISHED[f'{network}_index'])


def test_packed_codes_choose_as_whole_ones_do_and_half_precision_does_less_often() -> None:
    """Codes that vary smoothly with the rotation, with noise on those that are looked up."""
    generator = np.random.default_rng(0)
    mixing = generator.normal(size=(164, 64))
    codes = quaternion_harmonics(reference_rotations(2, 24).matrices()) @ mixing + 8.0
    queries = codes[generator.permutation(len(codes))[:3000]]
    queries = unit_length((queries + 0.5 * generator.normal(size=queries.shape)).astype('f4'))
    whole = unit_length(codes.astype(np.float32))
    wanted = nearest_rows(queries @ whole.T).index

    packed = CodeTable(PackedCodes.of(codes.astype(np.float32))).nearest(queries)
    half = nearest_rows(queries @ whole.astype(np.float16).astype(np.float32).T).index

    assert np.mean(packed.index == wanted) >= 0.999
    assert np.mean(packed.index == wanted) >= np.mean(half == wanted)
    np.testing.assert_allclose(packed.cosine, (queries * whole[packed.index]).sum(axis=1),
                               atol=1e-5)


def test_codes_take_half_the_place_in_a_file() -> None:
    codes = np.random.default_rng(0).normal(size=(100, 16)).astype(np.float32)
    packed = PackedCodes.of(codes)
    assert packed.numbers.nbytes == codes.nbytes // 2
    assert CodeTable(packed).bytes == codes.nbytes


def test_codes_that_are_all_the_same_can_be_stored() -> None:
    found = CodeTable(PackedCodes.of(np.ones((3, 4), np.float32))).nearest(
        np.ones((1, 4), np.float32))
    np.testing.assert_allclose(found.cosine, 1.0, rtol=1e-6)


def test_a_code_of_another_length_is_refused() -> None:
    table = CodeTable(PackedCodes.of(np.eye(4, dtype=np.float32)))
    with pytest.raises(InvalidInputError, match='of another encoder'):
        table.nearest(np.ones((1, 5), np.float32))
