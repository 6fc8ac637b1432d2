"""Runs that meet each other, another cluster, an interrupt, a deadline, a corrupting version."""

import json
import os
import signal
import subprocess

import pytest

from sretool.lab import LabSpec
from sretool.lab.members import read_metrics
from tests.support.etcd_cluster import running_lab
from tests.support.filled import alarms, fault, results, statuses
from tests.support.sretool_cli import ROOT, Sretool

pytestmark = [pytest.mark.real, pytest.mark.faults]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    base = tmp_path_factory.mktemp("ru")
    with running_lab(base, LabSpec(name="ru", quota_bytes=96 << 20)) as lab:
        lab.base = base
        yield lab


@pytest.fixture
def sretool(lab, tmp_path):
    return Sretool(lab.base, lab.name, state=tmp_path / "state")


@pytest.fixture
def fragmented(lab):
    fault(lab, "fragment", "m1", "--size", "48Mi")
    yield
    fault(lab, "fragment", "m1", "--undo")


def book(tmp_path, **defrag):
    """Return the path of a runbook that defragments whatever has 1 MiB to give back."""
    settings = {"reclaim_floor": "1Mi"} | defrag
    inside = ", ".join(f"{name}: {value}" for name, value in settings.items())
    path = tmp_path / "small-defrag.yaml"
    path.write_text(
        "runbook: small-defrag\n"
        "summary: defragment what has a megabyte to give back\n"
        "needs: {etcd: required}\n"
        "steps:\n"
        "  - {id: status, uses: etcd.endpoint-status}\n"
        f"  - {{id: defrag, uses: etcd.defrag, with: {{{inside}}}}}\n"
    )
    return str(path)


def counts(lab):
    return {
        member.name: read_metrics(member)["etcd_disk_backend_defrag_duration_seconds_count"]
        for member in lab.members
    }


def leader(lab):
    return next(name for name, one in statuses(lab).items() if one["leader"] == one["header"]["member_id"])


def test_every_member_is_defragmented_once_the_leader_last(lab, sretool, fragmented, tmp_path):
    before, first_leader = counts(lab), leader(lab)
    done = sretool("runbook", book(tmp_path), "--approve", "disruptive")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {name: count + 1 for name, count in before.items()} == counts(lab)
    order = [
        record["body"]["change"]["label"]
        for record in sretool.journal()
        if record["kind"] == "intent" and record["body"]["change"]["verb"] == "defragment"
    ]
    assert first_leader == order[-1]
    assert first_leader != leader(lab)
    again = sretool("runbook", book(tmp_path), "--approve", "disruptive")
    assert again.returncode == 0, again.stdout
    assert {name: count + 1 for name, count in before.items()} == counts(lab)


def test_a_defragmentation_that_outlives_its_deadline_is_observed_not_repeated(
    lab, sretool, fragmented, tmp_path
):
    before = counts(lab)
    done = sretool("runbook", book(tmp_path, deadline="5ms"), "--approve", "disruptive")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {name: count + 1 for name, count in before.items()} == counts(lab)


def test_an_approval_below_the_risk_does_nothing_at_all(lab, sretool, fragmented, tmp_path):
    before = counts(lab)
    done = sretool("runbook", book(tmp_path), "--approve", "reversible")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "disruptive" in done.stdout + done.stderr
    assert before == counts(lab)


def test_without_a_terminal_and_without_approval_it_plans_only(lab, sretool, fragmented, tmp_path):
    before = counts(lab)
    done = sretool("runbook", book(tmp_path))
    assert done.returncode == 3, done.stdout + done.stderr
    assert before == counts(lab)


def test_a_saved_plan_is_applied_and_nothing_else(lab, sretool, fragmented, tmp_path):
    plan = tmp_path / "plan.json"
    saved = sretool("runbook", book(tmp_path), "--save", str(plan))
    assert saved.returncode == 3, saved.stdout + saved.stderr
    done = sretool("apply", str(plan))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_saved_plan_that_lacks_a_change_is_stale(lab, sretool, fragmented, tmp_path):
    plan = tmp_path / "plan.json"
    sretool("runbook", book(tmp_path), "--save", str(plan))
    content = json.loads(plan.read_text())
    content["changes"] = content["changes"][:1]
    plan.write_text(json.dumps(content))
    before = counts(lab)
    done = sretool("apply", str(plan))
    assert done.returncode == 4, done.stdout + done.stderr
    assert before == counts(lab)


def test_the_plan_of_another_cluster_is_refused(lab, sretool, fragmented, tmp_path):
    plan = tmp_path / "plan.json"
    sretool("runbook", book(tmp_path), "--save", str(plan))
    content = json.loads(plan.read_text())
    content["identity"]["etcd_cluster_id"] = "deadbeef"
    plan.write_text(json.dumps(content))
    before = counts(lab)
    done = sretool("apply", str(plan))
    assert done.returncode == 4, done.stdout + done.stderr
    assert "deadbeef" in done.stdout + done.stderr
    assert before == counts(lab)


def test_the_second_of_two_runs_is_refused_and_names_the_first(lab, sretool, fragmented, tmp_path):
    first = sretool.start("runbook", book(tmp_path), "--approve", "disruptive")
    try:
        sretool.wait_for_record("intent")
        os.kill(first.pid, signal.SIGSTOP)
        second = sretool("runbook", book(tmp_path), "--approve", "disruptive")
    finally:
        os.kill(first.pid, signal.SIGCONT)
        out, error = first.communicate(timeout=60)
    assert second.returncode == 4, second.stdout + second.stderr
    assert str(first.pid) in second.stdout + second.stderr
    assert first.returncode == 0, out + error


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_signal_finishes_the_change_in_flight_and_can_be_resumed(
    lab, sretool, fragmented, tmp_path, number, code
):
    before = counts(lab)
    running = sretool.start("runbook", book(tmp_path), "--approve", "disruptive")
    sretool.wait_for_record("intent")
    running.send_signal(number)
    out, error = running.communicate(timeout=60)
    assert running.returncode == code, out + error
    assert "sretool resume" in out + error
    assert all(result == "done" for _, result in results(sretool.journal()))
    resumed = sretool("resume", "--approve", "disruptive")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert {name: count + 1 for name, count in before.items()} == counts(lab)


@pytest.mark.parametrize(
    ("is_seen", "code", "told"),
    [(True, 5, "it is still stopped part-way"), (False, 7, "what became of a write is not known yet")],
)
def test_taken_up_without_a_quorum_what_was_left_open_is_open_still(
    lab, sretool, fragmented, tmp_path, is_seen, code, told
):
    before = counts(lab)
    killed = sretool("runbook", book(tmp_path), "--approve", "disruptive", crash="after:1")
    assert killed.returncode == -9, killed.stdout + killed.stderr
    first = next(record for record in sretool.journal() if record["kind"] == "intent")
    touched = first["body"]["change"]["label"]
    others = [member.name for member in lab.members if member.name != touched]
    frozen = others if is_seen else [touched, others[0]]
    for name in frozen:
        fault(lab, "freeze", name)
    try:
        done = sretool("resume", "--approve", "disruptive")
        assert done.returncode == code, done.stdout + done.stderr
        assert told in " ".join(done.stdout.split())
        assert f"next:  sretool resume {sretool.run_ids()[-1]}" in done.stdout
    finally:
        for name in frozen:
            fault(lab, "freeze", name, "--undo")
    resumed = sretool("resume", "--approve", "disruptive")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert {name: count + 1 for name, count in before.items()} == counts(lab)


def test_a_no_to_what_is_left_leaves_it_stopped_part_way(lab, sretool, fragmented, tmp_path):
    killed = sretool("runbook", book(tmp_path), "--approve", "disruptive", crash="after:1")
    assert killed.returncode == -9, killed.stdout + killed.stderr
    before = counts(lab)
    for words in (("--approve", "reversible"), ()):
        done = sretool("resume", *words)
        assert done.returncode == 5, done.stdout + done.stderr
        assert f"next:  sretool resume {sretool.run_ids()[-1]}" in done.stdout
        assert "sretool runbook" not in done.stdout
    assert before == counts(lab)


def test_looking_leaves_revision_proposals_and_alarms_alone(lab, sretool, fragmented):
    """AlarmList is itself a raft proposal, asked once a look: the only one allowed."""

    def proposals():
        return {m.name: read_metrics(m)["etcd_server_proposals_committed_total"] for m in lab.members}

    sretool("runbook", "etcd-latency", "--plan", "-p", "window=1s")
    before, revisions = proposals(), {n: s["header"]["revision"] for n, s in statuses(lab).items()}
    done = sretool("runbook", "etcd-latency", "--plan", "-p", "window=1s")
    assert done.returncode in (0, 3), done.stdout + done.stderr
    after = proposals()
    assert revisions == {n: s["header"]["revision"] for n, s in statuses(lab).items()}
    # Linearizable reads ask for the read index and propose nothing; one AlarmList proposes once.
    assert all(after[name] - before[name] <= 1 for name in before), (before, after)
    assert alarms(lab) == ""


def test_undo_says_that_there_is_no_way_back(lab, sretool, fragmented, tmp_path):
    assert sretool("runbook", book(tmp_path), "--approve", "disruptive").returncode == 0
    done = sretool("undo", sretool.run_ids()[-1])
    assert done.returncode == 4, done.stdout + done.stderr
    assert "disruptive" in done.stdout + done.stderr


def test_a_damaged_journal_is_neither_resumed_nor_undone(lab, sretool, fragmented, tmp_path):
    assert sretool("runbook", book(tmp_path), "--approve", "disruptive").returncode == 0
    path = next((tmp_path / "state" / "sretool" / "runs").glob("*/journal.jsonl"))
    content = path.read_bytes()
    path.write_bytes(content.replace(b"disruptive", b"reversible", 1))
    run_id = path.parent.name
    for command in ("resume", "undo"):
        done = sretool(command, run_id)
        assert done.returncode == 4, done.stdout + done.stderr
        assert "damaged" in done.stdout + done.stderr


def test_an_output_that_is_cut_off_by_a_pipe_ends_without_a_traceback(lab, sretool):
    done = subprocess.run(
        ["bash", "-c", "python -m sretool cluster status | true; python -m sretool runbook | head -1"],
        capture_output=True,
        check=False,
        text=True,
        cwd=ROOT,
        timeout=60,
        env=sretool.environment | {"PATH": f"{ROOT}/.venv/bin:{sretool.environment['PATH']}"},
    )
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_a_wrong_state_folder_stops_changes_before_the_first(lab, sretool, fragmented, tmp_path):
    before = counts(lab)
    (tmp_path / "file").write_text("")
    bad = {"XDG_STATE_HOME": str(tmp_path / "file")}
    done = sretool("runbook", book(tmp_path), "--approve", "disruptive", env=bad)
    assert done.returncode == 4, done.stdout + done.stderr
    assert before == counts(lab)
    looked = sretool("runbook", book(tmp_path), "--plan", env=bad)
    assert looked.returncode == 3, looked.stdout + looked.stderr
