"""etcd.move-leader against real members, the leader's disk made slow."""

import os
import shutil

import pytest

from sretool.cluster import Cluster
from sretool.cluster.inventory import parse_cluster
from sretool.errors import NotLeaderError
from sretool.lab import LabSpec
from sretool.lab.faults import raise_fault, undo_fault
from sretool.lab.faults.options import FaultOptions
from sretool.model import Result
from sretool.step import Duration
from sretool.steps.etcd_move_leader import EtcdMoveLeader, EtcdMoveLeaderParams
from tests.support.background_writer import writing
from tests.support.etcd_cluster import running_lab
from tests.support.step_driver import CLOCK, StepDriver

pytestmark = [
    pytest.mark.real,
    pytest.mark.faults,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace"),
]

PARAMS = EtcdMoveLeaderParams(window=Duration.parse("3s"))


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with running_lab(tmp_path_factory.mktemp("move"), LabSpec(name="move")) as lab:
        yield lab


def leader_of(driver):
    return next(name for name, status in driver.reader().etcd.status().items() if status.is_leader)


def test_leadership_leaves_a_slow_disk_once_and_a_good_one_keeps_it(lab):
    entry = parse_cluster(lab.cluster_file.read_text(), origin=lab.name)
    with Cluster(entry, CLOCK) as cluster, writing(lab):
        driver = StepDriver(cluster, EtcdMoveLeader(), PARAMS)
        old_leader = leader_of(driver)
        assert driver.plan().waves == ()
        raise_fault(lab, "slow-disk", old_leader, FaultOptions(milliseconds=300))
        try:
            ((change, outcome),) = driver.carry_out()
            again = StepDriver(cluster, EtcdMoveLeader(), PARAMS).plan()
        finally:
            undo_fault(lab, "slow-disk", old_leader)

        assert change.label.startswith(f"{old_leader} → ")
        assert outcome.measured["leader"] == change.selection["target_member"] == leader_of(driver)
        assert outcome.measured["elections"] == 1
        assert again.waves == ()
        assert isinstance(driver.apply(change), NotLeaderError)
        assert driver.observe(change).result is Result.DONE
