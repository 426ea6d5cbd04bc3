import threading

import pytest

from pose_estimation_ros.nodes.worker import TwoStageWorker

PATIENCE = 30


class Stages:
    """Two stages that stop at gates, so that the test decides what runs when."""

    def __init__(self):
        self.gates = {'first': threading.Semaphore(0), 'second': threading.Semaphore(0)}
        self.entered = {'first': threading.Semaphore(0), 'second': threading.Semaphore(0)}
        self.running = 0
        self.most_running = 0
        self.lock = threading.Lock()
        self.results = []
        self.errors = []
        self.told = threading.Semaphore(0)
        self.worker = TwoStageWorker(self.first, self.second, self.on_error)

    def pass_gate(self, name):
        with self.lock:
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        self.entered[name].release()
        assert self.gates[name].acquire(timeout=PATIENCE)
        with self.lock:
            self.running -= 1

    def first(self, job):
        self.pass_gate('first')
        if job == 'bad':
            raise ValueError(job)
        return job

    def second(self, half):
        self.pass_gate('second')
        self.results.append(half)
        self.told.release()

    def on_error(self, error):
        self.errors.append(str(error))
        self.told.release()

    def open(self, name, times=1):
        for _ in range(times):
            self.gates[name].release()

    def wait_until_in(self, name):
        assert self.entered[name].acquire(timeout=PATIENCE)

    def wait_until_told(self):
        assert self.told.acquire(timeout=PATIENCE)


@pytest.fixture
def stages():
    stages = Stages()
    yield stages
    stages.open('first', 20)
    stages.open('second', 20)
    stages.worker.stop()


def test_a_newer_job_takes_the_place_of_the_one_that_waits(stages):
    stages.worker.submit(1)
    stages.wait_until_in('first')
    assert stages.worker.withdraw() is None
    stages.worker.submit(2)
    assert stages.worker.withdraw() == 2
    stages.worker.submit(3)
    stages.open('first', 2)
    stages.open('second', 2)
    stages.wait_until_told()
    stages.wait_until_told()
    assert stages.results == [1, 3]


def test_the_next_job_is_begun_beside_the_one_before_but_no_third(stages):
    stages.worker.submit(1)
    stages.wait_until_in('first')
    stages.open('first')
    stages.wait_until_in('second')
    stages.worker.submit(2)
    stages.wait_until_in('first')
    stages.worker.submit(3)
    stages.open('first')
    # Job 2 waits for the second stage, so job 3 must not have been taken.
    assert not stages.entered['first'].acquire(timeout=0.2)
    stages.open('second')
    stages.wait_until_told()
    stages.wait_until_in('first')
    assert stages.most_running == 2


def test_a_failing_job_is_told_and_the_next_one_runs(stages):
    stages.worker.submit('bad')
    stages.open('first')
    stages.wait_until_told()
    stages.worker.submit('good')
    stages.open('first')
    stages.open('second')
    stages.wait_until_told()
    assert stages.errors == ['bad']
    assert stages.results == ['good']


def test_results_leave_in_order(stages):
    stages.open('first', 10)
    stages.open('second', 10)
    for number in range(10):
        stages.worker.submit(number)
        stages.wait_until_told()
    assert stages.results == list(range(10))


@pytest.mark.fault('a worker thread dies')
def test_even_what_would_end_a_thread_ends_its_job_only(stages):
    class End(SystemExit):
        """As a library may raise that takes itself for the program."""

    stages.first = lambda job: (_ for _ in ()).throw(End(job))
    worker = TwoStageWorker(stages.first, stages.second, stages.on_error)
    for job in ('one', 'two'):
        worker.submit(job)
        stages.wait_until_told()
    assert stages.errors == ['one', 'two']
    assert worker.trouble(patience=1e3) is None
    worker.stop()


@pytest.mark.fault('a worker thread dies')
def test_a_thread_that_died_is_told(stages):
    def fail(error):
        raise error

    ended = threading.Event()
    hook, threading.excepthook = threading.excepthook, lambda _: ended.set()
    try:
        worker = TwoStageWorker(stages.first, stages.second, fail)
        worker.submit('bad')
        stages.open('first')
        assert ended.wait(PATIENCE)
        worker._threads[0].join(PATIENCE)
    finally:
        threading.excepthook = hook
    assert worker.trouble(patience=1e3).startswith("the thread 'segment' has died, no frame is")
    worker.stop()
    assert worker.trouble(patience=1e3) is None


@pytest.mark.fault('a worker thread dies')
def test_a_second_thread_that_died_does_not_hold_up_the_end():
    def fail(error):
        raise error

    hook, threading.excepthook = threading.excepthook, lambda _: None
    try:
        worker = TwoStageWorker(str, lambda half: 1 / 0, fail)
        worker.submit('bad')
        worker._threads[1].join(PATIENCE)
    finally:
        threading.excepthook = hook
    worker.submit('waits for the dead')
    stopping = threading.Thread(target=worker.stop, daemon=True)
    stopping.start()
    stopping.join(PATIENCE)
    assert not stopping.is_alive()


@pytest.mark.fault('a network hangs')
def test_a_stage_that_does_not_come_to_an_end_is_told_and_not_waited_for(stages):
    stages.worker.submit('slow')
    stages.wait_until_in('first')
    assert stages.worker.trouble(patience=1e3) is None
    assert "the stage 'segment' has been at work on one frame" in stages.worker.trouble(-1.0)
    assert not stages.worker.stop(timeout=0.0)
    assert set(stages.worker.at_work()) == {'segment'}
    stages.open('first')
    assert stages.worker.stop(timeout=PATIENCE)
