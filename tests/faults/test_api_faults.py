"""An API server that is slow, throttles, fails or is cut off in a write: nothing is repeated, and the end is clear."""

import itertools
import json
import re
import time

import msgspec
import pytest

from sretool.lab import LabSpec
from sretool.lab.faults import FaultOptions, raise_fault, undo_fault
from tests.support.api_gateway import gateway, is_write
from tests.support.etcd_cluster import running_lab
from tests.support.filled import keys_in_etcd, results
from tests.support.http_stub import Reply
from tests.support.sretool_cli import Sretool

pytestmark = [pytest.mark.real, pytest.mark.slow]

_TEAMS = (f"team{number}" for number in itertools.count(1))
_STATUS = {"kind": "Status", "apiVersion": "v1", "status": "Failure"}


@pytest.fixture(scope="module")
def lab(base):
    with running_lab(base, LabSpec(members=1, kubernetes=True)) as lab:
        yield lab


@pytest.fixture
def api(lab, base):
    with gateway(lab, base, name="gated") as api:
        yield api


@pytest.fixture
def sretool(base, tmp_path):
    return Sretool(base, "gated", state=tmp_path)


@pytest.fixture
def rollout(lab):
    """The words that roll quotas out over three new namespaces, and what was then set in them."""
    team = next(_TEAMS)
    with lab.api() as direct:
        for name in (*(f"{team}-{number}" for number in range(3)), f"beside-{team}"):
            direct.create("/api/v1/namespaces", {"metadata": {"name": name}})
    return Rollout(lab, team)


class Rollout:
    def __init__(self, lab, team):
        self.lab = lab
        self.words = ("runbook", "quota-rollout", "-p", f"namespaces={team}-*", "-p", "hard=pods=10")
        self._names = [f"{team}-{number}" for number in range(3)]

    def quotas(self):
        with self.lab.api() as direct:
            return [len(direct.items(f"/api/v1/namespaces/{name}/resourcequotas")) for name in self._names]


def own(path):
    return "resourcequotas/sretool" in path or "limitranges/sretool" in path


def refuse(status, reason, message):
    return Reply(status=status, body=_STATUS | {"reason": reason, "message": message, "code": status})


def test_etcd_is_diagnosed_although_every_request_to_the_api_takes_ten_seconds(api, sretool):
    api.before = lambda asked: Reply(after_seconds=10.0)
    began = time.monotonic()
    run = sretool("runbook", "etcd-latency", "--plan", "-p", "window=1s", "--output", "json")
    assert (
        time.monotonic() - began < 40
    )  # none of its requests is waited for to the end, nor asked again and again
    assert run.returncode in (0, 8), run.stderr
    assert json.loads(run.stdout)["identity"]["etcd_cluster_id"]


def test_a_look_that_needs_the_api_says_that_it_was_throttled(api, sretool, rollout):
    api.before = lambda asked: refuse(429, "TooManyRequests", "please try again later")
    run = sretool(*rollout.words, "--approve", "reversible")
    assert run.returncode == 8, run.stdout + run.stderr
    assert "429" in run.stdout
    assert "Traceback" not in run.stderr
    assert api.writes() == []


def test_a_write_that_is_answered_500_is_not_sent_again_and_the_run_can_be_resumed(api, sretool, rollout):
    api.before = lambda asked: (
        refuse(500, "InternalError", "etcdserver: something broke")
        if is_write(asked) and own(asked.path)
        else None
    )
    run = sretool(*rollout.words, "--approve", "reversible")
    assert run.returncode == 4, run.stdout + run.stderr  # it was looked at: nothing has been changed
    assert "500" in run.stdout
    assert rollout.quotas() == [0, 0, 0]
    api.before = lambda asked: None
    resumed = sretool("resume", sretool.run_ids()[-1], "--approve", "reversible")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert rollout.quotas() == [1, 1, 1]


def test_an_answer_that_is_lost_after_the_write_is_looked_for_and_never_sent_again(api, sretool, rollout):
    api.after = lambda asked, reply: Reply(drop=True) if is_write(asked) and own(asked.path) else reply
    run = sretool(*rollout.words, "--approve", "reversible")
    assert run.returncode == 0, run.stdout + run.stderr
    assert rollout.quotas() == [1, 1, 1]
    sent = [path for path in api.writes() if own(path)]
    assert sent
    assert len(sent) == len(set(sent))


def test_a_connection_that_is_cut_before_the_write_leaves_it_undone_and_says_so(api, sretool, rollout):
    api.before = lambda asked: Reply(drop=True) if is_write(asked) and own(asked.path) else None
    run = sretool(*rollout.words, "--approve", "reversible")
    assert run.returncode == 4, run.stdout + run.stderr
    assert rollout.quotas() == [0, 0, 0]
    assert "Traceback" not in run.stderr


def test_events_are_deleted_in_etcd_itself_while_the_api_server_is_too_slow(lab, api, sretool):
    flood = FaultOptions(count=400, namespaces=("slow",), reasons=("BackOff",), minutes=10)
    raise_fault(lab, "event-flood", "", flood)
    api.after = lambda asked, reply: msgspec.structs.replace(reply, after_seconds=1.1)
    words = ("namespaces=slow", "reasons=BackOff", "while_written=true")
    given = [word for one in words for word in ("-p", one)]
    run = sretool("runbook", "event-flood", *given, "--approve", "irreversible")
    assert run.returncode == 0, run.stdout + run.stderr
    plan = " ".join(run.stdout.split())
    assert "not through the API server: a small GET takes 1." in plan
    assert "(limit 1 s): straight from etcd" in plan
    assert [one for one in api.writes() if "leases" not in one] == []  # of its own lock only
    with lab.api() as direct:
        assert direct.items("/api/v1/namespaces/slow/events") == []


def flood_of(lab, namespace, count):
    """Return the words that delete `count` events which are made now."""
    raise_fault(
        lab, "event-flood", "", FaultOptions(count=count, namespaces=(namespace,), reasons=("BackOff",))
    )
    words = (f"namespaces={namespace}", "reasons=BackOff", "while_written=true")
    return ("runbook", "event-flood", *(word for one in words for word in ("-p", one)))


def slow_to_delete(asked, reply):
    return msgspec.structs.replace(reply, after_seconds=4.0 if asked.method == "DELETE" else 0.0)


def test_what_the_api_server_is_too_slow_to_delete_goes_in_etcd_as_the_plan_says(lab, api, sretool):
    words = flood_of(lab, "tardy", 900)
    planned = " ".join(sretool(*words).stdout.split())
    assert (
        "where it goes away, or a deletion takes it more than 50 ms, the rest in etcd itself, keys below"
        in planned
    )
    api.after = slow_to_delete
    run = sretool(*words, "--approve", "irreversible")
    assert run.returncode == 0, run.stdout + run.stderr
    told = " ".join((run.stdout + run.stderr).split())
    took = re.findall(
        r"what was left in etcd itself, for a deletion through the API server took (\d+) ms", told
    )
    assert len(took) == 2, "both batches say so"
    assert min(map(int, took)) >= 160, "4 s for each page of 25, and what this machine takes besides"
    deletions = [one for one in api.writes() if "/events" in one]
    assert 1 <= len(deletions) <= 3, "one of each slot, and no more"
    with lab.api() as direct:
        assert direct.items("/api/v1/namespaces/tardy/events") == []
    exported = sretool.state / "sretool" / "events" / "gated"
    through_api, in_etcd = sorted(exported.glob("tardy-*.jsonl"), key=lambda path: path.name.count("."))
    assert len(through_api.read_text().splitlines()) == 900
    assert 900 - 3 * 25 <= len(in_etcd.read_text().splitlines()) < 900


def test_from_the_moment_the_api_server_is_away_events_go_in_etcd(lab, base, tmp_path):
    words, sretool = flood_of(lab, "leaving", 4000), Sretool(base, lab.name, state=tmp_path)
    flood_of(lab, "staying", 10)
    running = sretool.start(*words, "--approve", "irreversible")
    try:
        sretool.wait_for_record("outcome", verb="delete-events")
        raise_fault(lab, "api-down")
        out, err = running.communicate(timeout=100)
        assert running.returncode == 0, out + err
        told = " ".join((out + err).split())
        assert "what was left in etcd itself, for the API server went away (API server https" in told
        assert {result for _, result in results(sretool.journal())} == {"done"}
        kept = [keys_in_etcd(lab, f"/registry/events/{one}/") for one in ("leaving", "staying")]
        assert kept == [0, 10]
    finally:
        undo_fault(lab, "api-down")
        if running.poll() is None:
            running.kill()
            running.communicate()


def test_a_slow_api_server_deletes_all_of_them_where_etcd_itself_was_not_permitted(lab, api, sretool):
    words = (*flood_of(lab, "patient", 110), "-p", "in_etcd=false")
    assert "the rest in etcd" not in sretool(*words).stdout
    api.after = slow_to_delete
    run = sretool(*words, "--approve", "irreversible")
    assert run.returncode == 0, run.stdout + run.stderr
    assert len([one for one in api.writes() if "/events" in one]) == 5
    with lab.api() as direct:
        assert direct.items("/api/v1/namespaces/patient/events") == []
