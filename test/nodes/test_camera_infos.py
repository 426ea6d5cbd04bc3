"""Which camera an image is of, by the infos around its stamp."""

import pytest
from sensor_msgs.msg import CameraInfo, Image, RegionOfInterest

from pose_estimation_ros.nodes.camera_infos import CameraInfos


def info_at(sec: int, **changes: object) -> CameraInfo:
    k = [1000.0, 0.0, 639.5, 0.0, 1000.0, 479.5, 0.0, 0.0, 1.0]
    info = CameraInfo(**{'width': 1280, 'height': 960, 'k': k} | changes)
    info.header.stamp.sec = sec
    return info


def agree(before: CameraInfo, after: CameraInfo) -> bool:
    infos, image = CameraInfos(), Image()
    infos.add(before)
    infos.add(after)
    image.header.stamp.sec = 2
    return infos.agree_around(image)


def test_infos_that_differ_in_their_stamps_only_are_of_one_camera() -> None:
    region = {'x_offset': 320, 'y_offset': 240, 'width': 640, 'height': 480}
    assert agree(info_at(1, roi=RegionOfInterest(**region)),
                 info_at(3, roi=RegionOfInterest(**region)))


@pytest.mark.parametrize('changes', [
    {'k': [900.0, 0.0, 639.5, 0.0, 900.0, 479.5, 0.0, 0.0, 1.0]},
    {'binning_x': 2},
    {'binning_y': 2},
    {'roi': RegionOfInterest(x_offset=640, width=640, height=480)},
])
def test_infos_of_other_pixels_of_a_sensor_do_not_agree(changes: dict[str, object]) -> None:
    assert not agree(info_at(1), info_at(3, **changes))
