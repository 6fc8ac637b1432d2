"""etcd.move-leader against real members, the leader's disk made slow."""

import pytest

from sretool.errors import NotLeaderError
from sretool.lab import LabSpec
from sretool.lab.faults import raise_fault, undo_fault
from sretool.lab.faults.options import FaultOptions
from sretool.model import Result
from sretool.step import Duration
from sretool.steps.etcd_move_leader import EtcdMoveLeader, EtcdMoveLeaderParams
from tests.support.background_writer import writing
from tests.support.etcd_cluster import running_lab
from tests.support.needs import needs_root, needs_strace
from tests.support.promptly import seen
from tests.support.steps_on_a_lab import StepDriver, StepsOnALab

pytestmark = [
    pytest.mark.real,
    pytest.mark.faults,
    pytest.mark.root,
    needs_root,
    needs_strace,
]

PARAMS = EtcdMoveLeaderParams(window=Duration.parse("3s"))


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with running_lab(tmp_path_factory.mktemp("move"), LabSpec(name="move")) as lab:
        yield lab


def test_leadership_leaves_a_slow_disk_once_and_a_good_one_keeps_it(lab):
    with StepsOnALab(lab) as steps, writing(lab):
        driver = StepDriver(steps, EtcdMoveLeader(), PARAMS)
        old_leader = steps.leader()
        assert driver.plan().waves == ()
        raise_fault(lab, "slow-disk", old_leader, FaultOptions(milliseconds=300))
        try:
            ((change, outcome),) = seen(driver.carry_out, as_expected=bool)
            again = StepDriver(steps, EtcdMoveLeader(), PARAMS).plan()
        finally:
            undo_fault(lab, "slow-disk", old_leader)

        assert change.label.startswith(f"{old_leader} → ")
        assert outcome.measured["leader"] == change.selection["target_member"] == steps.leader()
        assert outcome.measured["elections"] == 1
        assert again.waves == ()
        assert isinstance(driver.apply(change), NotLeaderError)
        assert driver.observe(change).result is Result.DONE
