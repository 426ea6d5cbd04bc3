"""Up and down with a real network: memory stays bounded. `make lifecycle LOOPS=1000` does more."""

import os
from pathlib import Path

from ros_harness import Client, Frame

LOOPS = int(os.environ.get('LIFECYCLE_LOOPS', '4'))
# The allocators settle in the first loops.
FIRST_LOOPS = 3
MOST_GROWTH = 30.0


def resident_megabytes(process):
    """Return the resident memory of a node's process."""
    status = Path(f'/proc/{process.process.pid}/status').read_text()
    return int(status.split('VmRSS:')[1].split()[0]) / 1024


def test_models_come_and_go_without_leaving_anything_behind(client: Client, node, capsys):
    process = node(backend='spd', threads=1)
    client.wait_until_active()
    resident = []
    for loop in range(FIRST_LOOPS + LOOPS):
        assert client.transition('deactivate')
        if loop % 2:
            assert client.transition('cleanup')
            assert client.transition('configure')
        assert client.transition('activate')
        resident.append(resident_megabytes(process))
    with capsys.disabled():
        print(f'\n{LOOPS} loops: resident memory {resident[FIRST_LOOPS - 1]:.0f} MB after the '
              f'first {FIRST_LOOPS}, {resident[-1]:.0f} MB at the end, {max(resident):.0f} MB at '
              'most')
    assert max(resident[FIRST_LOOPS:]) < resident[FIRST_LOOPS - 1] + MOST_GROWTH
    client.forget()
    _, detections = client.result_of(Frame())
    assert detections.header.frame_id == 'camera_color_optical_frame'
    assert process.log.count('loaded in') == 1 + FIRST_LOOPS + LOOPS
    assert client.transition('deactivate')
    client.wait_for_sentence('model', 'not active')
