"""Dead and frozen members: named at once, never waited for one after the other, never «healthy»."""

import json
import time

import pytest

from sretool.lab import LabSpec
from tests.support.etcd_cluster import running_lab
from tests.support.needs import needs_nft, needs_root
from tests.support.promptly import promptly, quickest
from tests.support.sretool_cli import Sretool

pytestmark = [pytest.mark.real, pytest.mark.faults]


WINDOW = 2.0
MOST_ADDED = 3.0  # what silent members may add to the time of the same look at a healthy cluster


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    base = tmp_path_factory.mktemp("si")
    with running_lab(base, LabSpec(name="si")) as lab:
        lab.base = base
        yield lab


@pytest.fixture
def sretool(lab):
    return Sretool(lab.base, lab.name)


@pytest.fixture(scope="module")
def healthy_seconds(lab):
    """How long the look and the status of a healthy cluster take on this machine now."""
    sretool = Sretool(lab.base, lab.name)
    wait_until_whole(lab)
    return {what: quickest(lambda words=words: sretool(*words)) for what, words in WORDS.items()}


@pytest.fixture
def fault(sretool, lab, healthy_seconds):
    raised = []

    def raise_it(kind, member, *words):
        done = sretool("lab", "fault", "--name", lab.name, kind, member, *words)
        assert done.returncode == 0, done.stderr
        raised.append((kind, member))

    yield raise_it
    for kind, member in reversed(raised):
        done = sretool("lab", "fault", "--name", lab.name, kind, member, "--undo")
        assert done.returncode == 0, done.stderr
    wait_until_whole(lab)


def wait_until_whole(lab):
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        done = lab.etcdctl("endpoint", "health", f"--endpoints={','.join(m.client_url for m in lab.members)}")
        if done.returncode == 0:
            return
        time.sleep(0.2)
    raise AssertionError("the lab did not come back")


WORDS = {
    "look": ("runbook", "etcd-latency", "--plan", "-p", f"window={WINDOW:g}s", "--output", "json"),
    "status": ("cluster", "status"),
}


def within(sretool, what, healthy_seconds):
    return promptly(lambda: sretool(*WORDS[what]), seconds=healthy_seconds[what] + MOST_ADDED)


def look(sretool, healthy_seconds):
    done = within(sretool, "look", healthy_seconds)
    return done, json.loads(done.stdout)


def verdicts(report):
    return {(one["verdict"], one["subject"]) for one in report["found"] if one["verdict"]}


@pytest.mark.parametrize(("kind", "verdict"), [("kill", "member-dead"), ("freeze", "member-frozen")])
@pytest.mark.parametrize("member", ["m1", "m2", "m3"])
def test_one_silent_member_is_named_with_its_kind(sretool, fault, healthy_seconds, kind, verdict, member):
    fault(kind, member)
    time.sleep(1.5)  # an election, when it was the leader
    done, report = look(sretool, healthy_seconds)
    assert done.returncode in (8, 9), done.stdout + done.stderr
    assert (verdict, member) in verdicts(report)
    assert not any(one["intent"] for one in report["changes"])


def test_one_dead_and_one_frozen_is_no_quorum_and_plans_nothing(sretool, fault, healthy_seconds):
    fault("kill", "m1")
    fault("freeze", "m2")
    done, report = look(sretool, healthy_seconds)
    assert done.returncode == 9, done.stdout + done.stderr
    found = verdicts(report)
    assert {"quorum-lost", "member-dead", "member-frozen"} <= {verdict for verdict, _ in found}
    assert report["changes"] == []


def test_two_dead_members_are_no_quorum(sretool, fault, healthy_seconds):
    fault("kill", "m2")
    fault("kill", "m3")
    done, report = look(sretool, healthy_seconds)
    assert done.returncode == 9, done.stdout + done.stderr
    assert "quorum-lost" in {verdict for verdict, _ in verdicts(report)}


def test_when_nobody_answers_it_cannot_tell(sretool, fault):
    for member in ("m1", "m2", "m3"):
        fault("freeze", member)
    done = sretool("runbook", "etcd-latency", "--plan", "-p", "window=1s")
    assert done.returncode == 8, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_silent_member_is_not_safe(sretool, fault):
    assert sretool("safe", "etcd").returncode == 0
    fault("freeze", "m3")
    done = sretool("safe", "etcd")
    assert done.returncode in (4, 9), done.stdout + done.stderr
    assert "m3" in done.stdout


@needs_root
@needs_nft
def test_a_member_that_the_others_cannot_hear_is_not_well_although_it_answers(sretool, lab, fault):
    sretool("lab", "fault", "--name", lab.name, "fragment", "m1", "--size", "24Mi")
    fault("loss", "m3", "--percent", "100")
    status = sretool("cluster", "status")
    assert status.returncode == 9, status.stdout
    assert "m3: it answers for itself only" in " ".join(status.stdout.split())
    safe = sretool("safe", "etcd")
    assert safe.returncode == 4, safe.stdout
    assert "m3 answers no read through consensus" in " ".join(safe.stdout.split())
    plan = sretool("runbook", "etcd-defrag", "--plan", "-p", "reclaim_floor=1Mi", "--output", "json")
    assert json.loads(plan.stdout)["changes"] == [], "without a voter to spare nobody is stalled"


def test_status_shows_every_row_and_the_reason(sretool, fault, healthy_seconds):
    fault("kill", "m2")
    fault("freeze", "m3")
    done = within(sretool, "status", healthy_seconds)
    assert done.returncode in (8, 9)
    assert all(name in done.stdout for name in ("m1", "m2", "m3"))
    assert "dead" in done.stdout
    assert "frozen" in done.stdout


def test_metrics_that_cannot_be_read_are_never_healthy(sretool, lab):
    entry = lab.cluster_file.read_text()
    port = lab.members[0].metrics_url
    lab.cluster_file.write_text(entry.replace(port, port.replace(":2381", ":2399")))
    try:
        done = sretool("runbook", "etcd-latency", "--plan", "-p", "window=1s")
    finally:
        lab.cluster_file.write_text(entry)
    assert done.returncode == 8, done.stdout + done.stderr


def test_another_members_metrics_are_not_taken_for_its_own(sretool, lab):
    entry = lab.cluster_file.read_text()
    first, second = lab.members[0].metrics_url, lab.members[1].metrics_url
    lab.cluster_file.write_text(entry.replace(first, "FIRST").replace(second, first).replace("FIRST", second))
    try:
        done = sretool("runbook", "etcd-latency", "--plan", "-p", "window=1s")
    finally:
        lab.cluster_file.write_text(entry)
    assert done.returncode == 8, done.stdout + done.stderr
    assert "are those of member" in done.stdout
