"""Whether somebody is at work on a run that did not end: its own process, or one that took it up again."""

import os
import socket
import subprocess
import sys

import pytest

from sretool.engine.at_work import is_gone
from sretool.engine.lock import ClusterLock
from sretool.engine.runs import locks_folder
from sretool.model import Identity
from tests.support.moving_clock import MovingClock

CLUSTER = Identity(etcd_cluster_id="abc")


@pytest.fixture
def ended_pid():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def gone(pid, host=None):
    return is_gone("one", host=host or socket.gethostname(), pid=pid, identity=CLUSTER)


def test_a_process_of_this_machine_is_looked_for(ended_pid):
    assert gone(ended_pid)
    assert not gone(os.getpid())


def test_of_another_machine_nobody_can_tell(ended_pid):
    assert not gone(ended_pid, host="another.example")


@pytest.mark.parametrize(("run", "expected"), [("one", False), ("another", True)])
def test_whoever_took_the_run_up_again_is_at_work(ended_pid, tmp_path, run, expected):
    with ClusterLock(locks_folder(), CLUSTER, run_id=run, run_folder=tmp_path, clock=MovingClock()):
        assert expected == gone(ended_pid)
