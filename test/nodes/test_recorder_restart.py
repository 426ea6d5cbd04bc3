"""The recorder beside an estimator that dies and comes back."""

import json
import signal

from ros_bags import notes
from ros_harness import STAND_IN, Client, NodeProcess


def test_the_bag_has_the_parameters_of_an_estimator_that_was_killed_and_started_again(
        client: Client, tmp_path):
    processes = [NodeProcess('pose_estimator', tmp_path / 'first_log', STAND_IN)]
    try:
        client.wait_until_active()
        recorder = NodeProcess('recorder', tmp_path / 'recorder_log',
                               {'output': tmp_path / 'bag', 'min_free': 0})
        processes.append(recorder)
        client.wait_for(lambda: 'has the parameters' in recorder.log, 'the first parameters')
        processes[0].stop(signal.SIGKILL)
        processes.append(
            NodeProcess('pose_estimator', tmp_path / 'second_log', STAND_IN | {'seed': 7}))
        client.wait_for(lambda: 'changed seed from 0 to 7' in recorder.log, 'the new parameters')
        assert recorder.stop() == 0
    finally:
        for process in processes:
            process.stop()
    assert json.loads(notes(tmp_path / 'bag')['pose_estimator.parameters'])['seed'] == 7
