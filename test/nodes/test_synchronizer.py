import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose_estimation_ros.nodes.synchronizer import StampSynchronizer

MS = 1_000_000


def test_equal_stamps_are_a_pair_in_either_order_of_arrival():
    pairs = StampSynchronizer(slop_ns=0)
    assert pairs.add_color(1 * MS, 'c1') is None
    assert pairs.add_depth(1 * MS, 'd1') == ('c1', 'd1')
    assert pairs.add_depth(2 * MS, 'd2') is None
    assert pairs.add_color(2 * MS, 'c2') == ('c2', 'd2')


def test_the_nearest_partner_wins():
    pairs = StampSynchronizer(slop_ns=10 * MS)
    pairs.add_depth(100 * MS, 'far')
    pairs.add_depth(106 * MS, 'near')
    assert pairs.add_color(108 * MS, 'c') == ('c', 'near')


def test_a_lasting_gap_is_measured_and_ends_with_a_pair():
    pairs = StampSynchronizer(slop_ns=5 * MS)
    assert pairs.fault() is None
    for k in range(4):
        pairs.add_depth((100 * k + 40) * MS, 'd')
        pairs.add_color(100 * k * MS, 'c')
    assert 'stamps are 0.04 s apart, more than 0.005 s (sync.slop)' in pairs.fault()
    assert 'raise sync.slop' in pairs.fault()
    assert pairs.add_depth(302 * MS, 'd') is not None
    assert pairs.fault() is None


def test_a_slop_that_is_not_what_limits_is_no_cure():
    pairs = StampSynchronizer(slop_ns=90 * MS)
    for k in range(6):
        pairs.add_depth((100 * k + 5000) * MS, 'd')
        pairs.add_color(100 * k * MS, 'c')
    assert 'half the time between two images' in pairs.fault()
    assert 'sync.slop' not in pairs.fault()


@pytest.mark.parametrize('late', [15, 25])
def test_depth_that_comes_late_finds_its_colour_as_long_as_that_is_kept(late):
    pairs = StampSynchronizer(slop_ns=10 * MS)
    found = []
    for k in range(60):
        pairs.add_color(33 * k * MS, k)
        if k >= late and (pair := pairs.add_depth(33 * (k - late) * MS, k - late)):
            found.append(pair)
    if late == 15:
        assert found == [(k, k) for k in range(45)]
        assert pairs.fault() is None
    else:
        assert not found
        assert 'depth arrives 0.825 s after' in pairs.fault()
        assert 'kept for 0.627 s' in pairs.fault()


def test_of_depth_that_has_stopped_nothing_is_said_here():
    pairs = StampSynchronizer(slop_ns=10 * MS)
    for k in range(6):
        pairs.add_depth((33 * k + 16) * MS, 'd')
        pairs.add_color(33 * k * MS, 'c')
    for k in range(6, 60):
        pairs.add_color(33 * k * MS, 'c')
    assert pairs.fault() is None


def test_a_jump_back_forgets_what_came_before():
    pairs = StampSynchronizer(slop_ns=5 * MS)
    pairs.add_color(10_000 * MS, 'old')
    pairs.add_color(100 * MS, 'new')
    assert pairs.add_depth(10_000 * MS, 'd') is None
    assert pairs.add_depth(100 * MS, 'd') is None


def test_no_image_is_paired_with_the_next_one_s_depth_however_large_the_slop():
    period = 1_000_000_000 // 60
    pairs = StampSynchronizer(slop_ns=20 * MS)
    for frame in range(8):
        pairs.add_color(frame * period, frame)
        assert pairs.add_depth(frame * period, frame) == (frame, frame)
    assert pairs.add_color(8 * period, 8) is None
    # The depth of image 8 is lost; that of image 9 comes before its colour.
    assert pairs.add_depth(9 * period, 9) is None
    assert pairs.add_color(9 * period, 9) == (9, 9)
    assert pairs.limit_ns == period // 2


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2000)), max_size=60))
def test_pairs_are_within_the_slop_and_nothing_is_used_twice(arrivals):
    pairs = StampSynchronizer(slop_ns=20)
    used = []
    for number, (is_color, stamp) in enumerate(arrivals):
        add = pairs.add_color if is_color else pairs.add_depth
        found = add(stamp, (stamp, number))
        if found is not None:
            color, depth = found
            assert abs(color[0] - depth[0]) <= 20
            used += [color[1], depth[1]]
    assert len(used) == len(set(used))
