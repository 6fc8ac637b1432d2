"""One run at a time: the kernel frees the lock of a run that died, and a refusal names who holds it."""

import os
import signal
import subprocess
import sys

import pytest

from sretool.engine.lock import ClusterLock
from sretool.errors import LockHeldError
from sretool.model import Identity
from tests.support.moving_clock import MovingClock

HOLD = """
import sys, time
from pathlib import Path
from sretool.clock import SystemClock
from sretool.engine.lock import ClusterLock
from sretool.model import Identity
with ClusterLock(Path(sys.argv[1]), Identity(etcd_cluster_id="abc"), run_id="first", run_folder=Path("/nowhere"),
                 clock=SystemClock()):
    print("held", flush=True)
    time.sleep(60)
"""


def lock(folder, cluster="abc", run="second"):
    return ClusterLock(
        folder, Identity(etcd_cluster_id=cluster), run_id=run, run_folder=folder, clock=MovingClock()
    )


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert "held\n" == process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def test_the_second_run_is_refused_and_the_first_is_named(tmp_path, holder):
    with pytest.raises(LockHeldError, match=f"run first .* pid {holder.pid} ") as refused, lock(tmp_path):
        pass
    assert f"kill -INT {holder.pid}" in refused.value.then


def test_another_cluster_is_not_locked(tmp_path, holder):
    with lock(tmp_path, cluster="def"):
        pass


def test_a_run_that_was_killed_holds_nothing(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with lock(tmp_path):
        pass


def test_the_lock_can_be_taken_again(tmp_path):
    for _ in range(2):
        with lock(tmp_path):
            pass
