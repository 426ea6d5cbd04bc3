"""The page of `pose-estimation report`, from bags and from folders of pictures."""

import base64
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from picture_of_page import find_browser, picture_of_page
from result_bags import detection, write_result_bag
from typer.testing import CliRunner

from pose_estimation_ros.cli.main import app
from pose_estimation_ros.core.errors import PoseEstimationError
from pose_estimation_ros.pipeline import PipelineResult
from pose_estimation_ros.viewing.sources import frames_in_folder


class Page(HTMLParser):
    """What a browser would find in a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.pictures, self.links, self.cells = [], [], [], []
        self._open = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self._open.append(tag)
        values = dict(attrs)
        if tag == 'img':
            data = base64.b64decode(values['src'].partition('base64,')[2])
            self.pictures.append(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
        self.links += [values[name] for name in ('href', 'src') if name in values]

    def handle_data(self, data):
        if self._open and self._open[-1] in {'td', 'dd', 'dt', 'p', 'b', 'title'}:
            self.cells.append(data.strip())


def run(*arguments):
    answer = CliRunner().invoke(app, ['report', *map(str, arguments)], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return answer.output


def page_of(tmp_path, *arguments):
    run(*arguments, '--output', tmp_path / 'page.html')
    return Page((tmp_path / 'page.html').read_text())


@pytest.fixture
def bag(tmp_path):
    write_result_bag(tmp_path / 'monday', [[detection(x=-0.01)], [detection(x=0.02), detection(
        'mug_2', 'mug', 0.1)]], ['depth is <late>', 'depth is <late>', 'no mug & no can'])
    return tmp_path / 'monday'


def test_pictures_poses_times_and_warnings_are_on_the_page(tmp_path, bag):
    page = page_of(tmp_path, bag)
    assert 'monday' in page.cells
    assert [picture.shape for picture in page.pictures] == [(120, 160, 3)] * 2
    # The box of the can is drawn over the red patch of the frame.
    assert (np.abs(page.pictures[0].astype(int) - page.pictures[1]).max(axis=2) > 60).sum() > 100
    assert {'can_1', 'mug_2', '0.75', '0.020  0.000  0.500', '10.0  12.0  10.0',
            '2 × can, 1 × mug', '40 ms'} <= set(page.cells)
    assert {'depth is <late>', 'no mug & no can', '12.5 ms'} <= set(page.cells)
    assert page.cells.count('depth is <late>') == 1
    assert page.tags.count('polyline') == 3


def test_the_page_needs_nothing_but_itself(tmp_path, bag):
    page = page_of(tmp_path, bag)
    assert all(link.startswith('data:') for link in page.links)
    assert not {'script', 'link', 'iframe'} & set(page.tags)
    assert 'http://' not in (tmp_path / 'page.html').read_text().replace(
        'http-equiv', '')


def test_names_in_a_recording_cannot_become_markup(tmp_path):
    evil = '<script>alert(1)</script>'
    write_result_bag(tmp_path / 'bag', [[detection(f'{evil}_1', evil)]], [evil])
    page = page_of(tmp_path, tmp_path / 'bag')
    assert 'script' not in page.tags
    assert evil in page.cells


def test_only_some_of_many_frames_are_shown_but_all_count(tmp_path):
    write_result_bag(tmp_path / 'bag', [[detection()] for _ in range(11)])
    page = page_of(tmp_path, tmp_path / 'bag', '--pictures', 4)
    assert len(page.pictures) == 3
    assert '11 × can' in page.cells
    assert [cell for cell in page.cells if re.fullmatch(r'\d\.\d\d s', cell)] == [
        '0.00 s', '0.40 s', '0.80 s']


def test_poses_in_another_frame_are_told_and_not_drawn(tmp_path):
    write_result_bag(tmp_path / 'bag', [[detection()]], frame_id='base_link')
    page = page_of(tmp_path, tmp_path / 'bag')
    assert any('1 objects are in the frame base_link' in cell for cell in page.cells)
    assert '1 × can' in page.cells


def test_what_the_camera_is_can_be_told_of_a_bag_that_does_not_say_it(tmp_path, bag):
    page = page_of(tmp_path, bag, '--set', 'sync.slop=0.25', '--color-topic', '/color/image_raw')
    assert {'sync.slop', '0.25'} <= {word for cell in page.cells for word in cell.split()}
    answer = CliRunner().invoke(app, ['report', str(bag), '--color-info-topic', '/nowhere',
                                      '--output', str(tmp_path / 'other.html')])
    assert answer.exit_code != 0
    assert 'has no topic /nowhere; it has' in str(answer.exception)


def cut_off(topic, number, data):
    """Leave of two colour images only the beginning."""
    return data[:60] if topic == '/color/image_raw' and number in (0, 2) else data


def test_damaged_frames_are_warned_of_and_the_others_are_shown(tmp_path):
    write_result_bag(tmp_path / 'bag', [[detection()]] * 4, ['depth is late'], spoil=cut_off)
    page = page_of(tmp_path, tmp_path / 'bag')
    assert len(page.pictures) == 2
    assert {'2 × can', 'depth is late'} <= set(page.cells)
    (told,) = [cell for cell in page.cells if 'left out' in cell]
    assert 'frame 0 (0.00 s), 2 (0.20 s): a message of /color/image_raw' in told
    row = page.cells[page.cells.index(told) - 2:][:6]
    assert row == ['warning', 'frames', told, '0.0', '0.2', '2']


def test_a_recording_of_damaged_frames_alone_says_what_is_wrong(tmp_path):
    write_result_bag(tmp_path / 'bag', [[detection()]] * 2, spoil=lambda topic, number, data: (
        data[:60] if topic == '/color/camera_info' else data))
    answer = CliRunner().invoke(app, ['report', str(tmp_path / 'bag'), '--output',
                                      str(tmp_path / 'page.html')])
    assert isinstance(answer.exception, PoseEstimationError)
    assert 'a message of /color/camera_info cannot be read' in str(answer.exception)


class FindsNothing:
    """Stands for a pipeline."""

    def process(self, frame):
        return PipelineResult(frame, (), (), (), (), {'pose': 0.25})


def test_damaged_pictures_in_a_folder_are_left_out(tmp_path):
    for name in ('a', 'b', 'c'):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / 'rgb.png'), np.full((12, 16, 3), 200, np.uint8))
        cv2.imwrite(str(tmp_path / name / 'depth.png'), np.full((12, 16), 500, np.uint16))
        (tmp_path / name / 'camera.json').write_text('{"K": [[9, 0, 8], [0, 9, 6], [0, 0, 1]]}')
    (tmp_path / 'b' / 'rgb.png').write_bytes(b'not a picture')
    first, lost, last = frames_in_folder(tmp_path, FindsNothing())
    assert [first.name, last.name] == ['a', 'c']
    assert (lost.name, lost.stamp_ns) == ('b', 1_000_000_000)
    assert 'not an image that can be read' in lost.fault


def test_a_bag_without_camera_says_what_is_missing(tmp_path):
    write_result_bag(tmp_path / 'bag', [])
    answer = CliRunner().invoke(app, ['report', str(tmp_path / 'nothing')])
    assert 'does not exist' in str(answer.exception)


@pytest.mark.skipif(find_browser() is None, reason='no Chromium on this machine')
def test_a_browser_shows_the_page(tmp_path, bag):
    page_of(tmp_path, bag)
    picture_of_page(tmp_path / 'page.html', tmp_path / 'shot.png', 1100, 2000)
    shot = cv2.imread(str(tmp_path / 'shot.png')).astype(int)
    assert shot.shape == (2000, 1100, 3)
    blue, green, red = shot[..., 0], shot[..., 1], shot[..., 2]
    # The red patch of both pictures, many times enlarged.
    assert ((red > 200) & (green < 60) & (blue < 60)).sum() > 5000
