"""NOSPACE on a real three-member etcd: found, recovered in the right order, proved, and nothing to do after."""

import threading

import pytest

from sretool.errors import SretoolError
from sretool.lab import LabSpec
from tests.support.etcd_cluster import running_lab
from tests.support.filled import alarms, empty, fill, put_succeeds, results, statuses
from tests.support.sretool_cli import Sretool

pytestmark = [pytest.mark.real, pytest.mark.faults]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    base = tmp_path_factory.mktemp("ns")
    with running_lab(base, LabSpec(name="ns", quota_bytes=24 << 20)) as lab:
        lab.base = base
        yield lab


@pytest.fixture
def sretool(lab, tmp_path):
    yield Sretool(lab.base, lab.name, state=tmp_path / "state")
    empty(lab)


RECOVER = ("runbook", "etcd-latency", "--approve", "irreversible", "-p", "window=1s", "-p", "second_look=1s")


def test_a_plan_says_everything_and_changes_nothing(lab, sretool):
    fill(lab)
    before = statuses(lab)
    done = sretool("runbook", "etcd-latency", "--plan", "-p", "window=1s")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "NOSPACE" in done.stdout
    assert "no way back" in done.stdout
    after = statuses(lab)
    for name, status in before.items():
        assert status["header"]["revision"] == after[name]["header"]["revision"]
        assert status["dbSize"] == after[name]["dbSize"]
    assert alarms(lab)
    assert not any(record["kind"] == "intent" for record in sretool.journal())


def test_garbage_is_recovered_proved_and_not_due_again(lab, sretool):
    fill(lab)
    assert not put_succeeds(lab)
    done = sretool(*RECOVER)
    assert done.returncode == 0, done.stdout + done.stderr
    assert in_order(results(sretool.journal())) == [
        ("save-snapshot", "done"),
        ("compact", "done"),
        ("defragment", "done"),
        ("defragment", "done"),
        ("move-leader", "done"),
        ("defragment", "done"),
        ("disarm", "done"),
        ("prove-writes", "done"),
    ]
    assert alarms(lab) == ""
    assert put_succeeds(lab)
    assert all(status["dbSize"] < 12 << 20 for status in statuses(lab).values())
    again = sretool(*RECOVER)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "nothing to do" in again.stdout


def test_live_data_is_not_disarmed_and_the_person_can_go_on_by_hand(lab, sretool):
    fill(lab, content="live")
    done = sretool(*RECOVER)
    assert done.returncode == 5, done.stdout + done.stderr
    assert alarms(lab)
    assert not put_succeeds(lab)
    ending = done.stdout[done.stdout.index("ENDED") :]
    assert "90%" in ending
    assert "/sretool-lab/fill" in ending  # the use by prefix
    assert "growth" in ending or "until the quota" in ending
    assert "etcdctl" in ending


def in_order(outcomes):
    """Return `outcomes` with the disarmings folded into one: which members raise the alarm is etcd's choice."""
    return [
        one
        for index, one in enumerate(outcomes)
        if index == 0 or one[0] != "disarm" or outcomes[index - 1] != one
    ]


def refill(lab, stop, number):
    """Write a megabyte again and again, as a controller would: refused until the alarm is disarmed."""
    from sretool.clients.etcd import Endpoint, EtcdWrites, TlsFiles, connect

    files = TlsFiles(ca=str(lab.ca), cert=str(lab.cert), key=str(lab.key))
    with connect(Endpoint(name="m1", url=lab.members[0].client_url), files) as connection:
        writes, count = EtcdWrites(connection), 0
        while not stop.is_set():
            try:
                writes.put(f"refill/{number}/{count}".encode(), b"x" * 1_000_000, timeout_seconds=5)
                count += 1
            except SretoolError:
                stop.wait(0.02)


def test_refilled_while_recovering_is_said_and_not_looped(lab, sretool):
    fill(lab)
    stop = threading.Event()
    writers = [threading.Thread(target=refill, args=(lab, stop, number)) for number in range(3)]
    for writer in writers:
        writer.start()
    try:
        done = sretool(*RECOVER)
    finally:
        stop.set()
        for writer in writers:
            writer.join()
        lab.etcdctl("del", "refill/", "--prefix")
    assert done.returncode in (5, 6, 9), done.stdout + done.stderr
    assert ("disarm", "done") in results(sretool.journal()) or "NOSPACE" in done.stdout
