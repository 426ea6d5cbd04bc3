"""Which camera an image is of, by the infos around its stamp."""

import pytest
from sensor_msgs.msg import CameraInfo, Image, RegionOfInterest
from std_msgs.msg import Header

from pose_estimation_ros.nodes.camera_infos import CameraInfos
from pose_estimation_ros.nodes.conversions import ns_to_stamp


def image(number: int) -> Image:
    return Image(header=Header(stamp=ns_to_stamp(number * 33_000_000)))


def info(number: int, focal_length: float = 1000.0, **changes: object) -> CameraInfo:
    k = [focal_length, 0.0, 639.5, 0.0, focal_length, 479.5, 0.0, 0.0, 1.0]
    return CameraInfo(header=image(number).header, width=1280, height=960, k=k,
                      **changes)


def kept(*infos: CameraInfo) -> CameraInfos:
    """Return what is kept of infos that came with some of the images."""
    result = CameraInfos()
    for each in infos:
        result.add(each)
    return result


def test_infos_that_differ_in_their_stamps_only_are_of_one_camera() -> None:
    region = RegionOfInterest(x_offset=320, y_offset=240, width=640, height=480)
    infos = kept(info(0, roi=region), info(3, roi=region), info(6, roi=region))
    # Also before the second and after the last.
    assert all(infos.tell_without_own(image(number)) for number in range(9))


@pytest.mark.parametrize('changes', [
    {'focal_length': 900.0},
    {'binning_x': 2},
    {'binning_y': 2},
    {'roi': RegionOfInterest(x_offset=640, width=640, height=480)},
])
def test_while_a_camera_zooms_the_infos_on_both_sides_of_an_image_tell_its_camera(
        changes: dict[str, object]) -> None:
    infos = kept(info(0), info(3), info(6, **changes))
    assert [infos.tell_without_own(image(number)) for number in (1, 4, 7)] == [True, False, False]
