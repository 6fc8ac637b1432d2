"""`cluster status`, `cluster doctor` and `safe etcd` on members that are well, frozen and dead."""

import json
import time

import pytest

from sretool.lab import LabSpec, up
from tests.support.etcd_cluster import hermetic_home, running_lab, tell
from tests.support.promptly import seen
from tests.support.sretool_cli import Sretool

pytestmark = [pytest.mark.real, pytest.mark.faults, pytest.mark.xdist_group("cli")]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    base = tmp_path_factory.mktemp("tc")
    with running_lab(base, LabSpec(name="prod")) as lab:
        lab.base = base
        yield lab


@pytest.fixture
def sretool(lab):
    return Sretool(lab.base, lab.name)


@pytest.fixture
def broken(lab, sretool):
    """Raise faults, and undo them afterwards."""
    raised = []

    def breaks(fault, member):
        done = sretool("lab", "fault", "--name", "prod", fault, member)
        assert done.returncode == 0, done.stderr
        raised.append((fault, member))

    yield breaks
    for fault, member in raised:
        sretool("lab", "fault", "--name", "prod", fault, member, "--undo")
    up(LabSpec(name="prod"), home=hermetic_home(lab.base), progress=tell)


def status(sretool):
    done = sretool("cluster", "status", "--output", "json")
    document = json.loads(done.stdout)
    assert document["exit_code"] == done.returncode
    return done.returncode, {row["name"]: row["state"] for row in document["members"]}


def test_three_healthy_members(sretool):
    assert status(sretool) == (0, {"m1": "ok", "m2": "ok", "m3": "ok"})
    safe = sretool("safe", "etcd")
    assert (safe.returncode, safe.stdout.count("\n")) == (0, 1), safe.stdout
    assert "may be touched" in safe.stdout
    doctor = sretool("cluster", "doctor")
    assert doctor.returncode == 0, doctor.stdout
    assert "FAILED" not in doctor.stdout


def test_a_learner_that_never_started_is_not_well(sretool, lab):
    words = ("member", "add", "m4", "--learner", "--peer-urls=https://127.0.0.1:9", "-w", "json")
    ends = time.monotonic() + 20  # etcd takes no new member before all have been connected for five seconds
    while (added := lab.etcdctl(*words)).returncode and time.monotonic() < ends:
        time.sleep(0.5)
    assert added.returncode == 0, added.stderr
    try:
        done = sretool("cluster", "status")
        assert done.returncode == 9
        assert "the member at https://127.0.0.1:9 was added and never started" in " ".join(
            done.stdout.split()
        )
        assert "which the inventory lacks" in " ".join(done.stdout.split())
    finally:
        lab.etcdctl("member", "remove", f"{json.loads(added.stdout)['member']['ID']:x}")
    assert status(sretool)[0] == 0


def test_an_inventory_that_lacks_a_member_is_not_well(sretool, lab):
    clusters = lab.base / "config" / "sretool" / "clusters"
    known = (clusters / "prod.yaml").read_text()
    cut = known[: known.index("    - name: m3")]
    (clusters / "cut.yaml").write_text(cut.replace("cluster: prod", "cluster: cut"))
    try:
        done = sretool("cluster", "status", "--cluster", "cut")
    finally:
        (clusters / "cut.yaml").unlink()
    assert done.returncode == 9
    assert "cut: the inventory differs from the member list: the cluster lists m3" in " ".join(
        done.stdout.split()
    )


def test_one_frozen_member(sretool, broken):
    broken("freeze", "m2")
    expected = (9, {"m1": "ok", "m2": "FROZEN", "m3": "ok"})
    # Where m2 led, the others are told for a second, rightly, to serve nobody.
    assert seen(lambda: status(sretool), as_expected=lambda told: told == expected) == expected
    safe = sretool("safe", "etcd")
    assert (safe.returncode, safe.stdout.count("\n")) == (4, 1), safe.stdout
    assert "etcd: no: quorum" in safe.stdout
    doctor = sretool("cluster", "doctor")
    assert doctor.returncode == 8
    assert "nothing behind it answers" in " ".join(doctor.stdout.split())


def test_one_frozen_and_one_dead_member(sretool, broken):
    broken("freeze", "m2")
    broken("kill", "m3")
    assert status(sretool) == (9, {"m1": "ok", "m2": "FROZEN", "m3": "DEAD"})
    assert "no quorum: 1 of 3" in sretool("cluster", "status").stdout
    safe = sretool("safe", "etcd")
    assert safe.returncode in (4, 8)  # for a second m1 may still name a leader: then it is a plain «no»
    assert "quorum" in safe.stdout


def test_nobody_answers(sretool, broken):
    for member in ("m1", "m2", "m3"):
        broken("freeze", member)
    code, states = status(sretool)
    assert (code, set(states.values())) == (9, {"FROZEN"})
    assert sretool("safe", "etcd").returncode == 8
