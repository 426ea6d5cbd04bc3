"""A recording under pressure: a slow disk, a full one, one that refuses."""

import errno
import threading

from ros_bags import contents, notes

from pose_estimation_ros.nodes.bag_writer import BagWriter
from pose_estimation_ros.nodes.recording import RecordedMessage, Recording, RecordingLimits

STRING = 'std_msgs/msg/String'


def message(number, size=100):
    return RecordedMessage('/text', STRING, number, bytes([0, 1, 0, 0]) + bytes([number]) * size)


class SlowWriter(BagWriter):
    """Writes nothing before it is allowed to."""

    def __init__(self, folder):
        super().__init__(folder, compressed=False)
        self.begun, self.may_go_on = threading.Event(), threading.Event()

    def write(self, topic, time_ns, data):
        self.begun.set()
        assert self.may_go_on.wait(60)
        super().write(topic, time_ns, data)


def test_everything_is_written_in_its_order_with_its_notes(tmp_path):
    recording = Recording(BagWriter(tmp_path / 'bag', compressed=True),
                          RecordingLimits(buffer_bytes=10_000, min_free_bytes=0))
    for number in range(20):
        recording.add(message(number))
    recording.note('answer', '42')
    recording.close()
    assert [(time, data) for _, _, time, data in contents(tmp_path / 'bag')] == [
        (number, message(number).data) for number in range(20)]
    assert notes(tmp_path / 'bag') == {'answer': '42'}
    assert recording.status().messages == {'/text': 20}
    assert recording.status().fault is None


def test_memory_stays_bounded_when_the_disk_is_slow(tmp_path):
    writer = SlowWriter(tmp_path / 'bag')
    recording = Recording(writer, RecordingLimits(buffer_bytes=1000, min_free_bytes=0))
    recording.add(message(0))
    assert writer.begun.wait(60)
    for number in range(1, 51):
        recording.add(message(number))
    assert recording.status().dropped == 50 - 1000 // 104
    writer.may_go_on.set()
    recording.close()
    assert [time for _, _, time, _ in contents(tmp_path / 'bag')] == list(range(10))


def test_a_full_disk_ends_the_recording_with_a_whole_bag(tmp_path, monkeypatch):
    usage = type('Usage', (), {'free': 900_000_000})
    monkeypatch.setattr('shutil.disk_usage', lambda folder: usage)
    recording = Recording(BagWriter(tmp_path / 'bag', compressed=False),
                          RecordingLimits(buffer_bytes=100_000_000, min_free_bytes=500_000_000))
    recording.add(message(0, 3_000_000))
    recording.add(message(1, 3_000_000))
    while recording.status().messages != {'/text': 2}:
        pass
    usage.free = 400_000_000
    recording.add(message(2, 3_000_000))
    recording.add(message(3, 3_000_000))
    recording.close()
    assert len(contents(tmp_path / 'bag')) in {2, 3}
    assert 'has 400 MB left, less than min_free 500 MB' in recording.status().fault
    recording.add(message(4))
    assert recording.status().messages['/text'] == len(contents(tmp_path / 'bag'))


def test_a_disk_that_refuses_is_told_and_ends_the_recording(tmp_path, monkeypatch):
    writer = BagWriter(tmp_path / 'bag', compressed=False)

    def refuse(*_):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(writer, 'write', refuse)
    recording = Recording(writer, RecordingLimits(buffer_bytes=1000, min_free_bytes=0))
    recording.add(message(0))
    recording.close()
    assert 'takes no more data (No space left on device)' in recording.status().fault


def test_a_topic_that_cannot_be_written_is_told_and_the_others_are_written(tmp_path):
    recording = Recording(BagWriter(tmp_path / 'bag', compressed=False),
                          RecordingLimits(buffer_bytes=1000, min_free_bytes=0))
    recording.add(message(0))
    recording.add(RecordedMessage('/odd', 'no_such_package/msg/Odd', 1, bytes(8)))
    recording.add(message(2))
    recording.close()
    assert [time for _, _, time, _ in contents(tmp_path / 'bag')] == [0, 2]
    status = recording.status()
    assert status.fault is None
    assert 'no_such_package/msg/Odd cannot be recorded' in status.refused['/odd']
