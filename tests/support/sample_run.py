"""One NOSPACE recovery as values: a plan, and the journal of the run that carried it out."""

import datetime

import msgspec

from sretool.engine.ending import Ending
from sretool.engine.journal import Journal
from sretool.engine.plan import Plan, Skipped
from sretool.model import (
    Change,
    Cost,
    Effect,
    Evidence,
    Finding,
    Held,
    Identity,
    Outcome,
    Result,
    Risk,
    Severity,
)
from tests.support.moving_clock import MovingClock

RUN_ID = "20260101t000000-beef"

NOSPACE = Finding(
    severity=Severity.CRITICAL,
    sentence="etcd refuses every write: m1 ran out of quota (alarm NOSPACE)",
    verdict="nospace",
    evidence=(
        Evidence(what="size of m1", value="64.9 MiB", threshold="quota 64 MiB", source="Status"),
        Evidence(what="size of m2", value="64.7 MiB", threshold="quota 64 MiB", source="Status"),
        Evidence(what="alarm of m1", value="NOSPACE", source="AlarmList"),
    ),
    follows=("Kubernetes can neither renew leases nor record events",),
)
BLIND = Finding(severity=Severity.WARNING, sentence="the metrics of m3 could not be read", blind=True)
NOTE = Finding(
    severity=Severity.NOTE,
    sentence="128 keys, most of them /registry/events (120)",
    evidence=(Evidence(what="/registry/events", value="120 keys", source="counted"),),
)

SNAPSHOT = Change(
    step="snapshot",
    uses="etcd.snapshot-save",
    verb="save-snapshot",
    object="snapshots/m3.db",
    label="of m3",
    reason="no verified snapshot younger than 15 min is on this machine",
    risk=Risk.READ,
    effects=(Effect.SAVES_LOCALLY,),
    cost=Cost(seconds=1.4, note="64 MiB to snapshots/m3.db"),
    commands=("etcdctl snapshot save snapshots/m3.db",),
)
COMPACT = Change(
    step="compact",
    uses="etcd.compact",
    verb="compact",
    object="revision 4410",
    label="to revision 4,410",
    reason="NOSPACE: up to the current revision",
    risk=Risk.IRREVERSIBLE,
    effects=(Effect.COMPACTS,),
    bounds={"revision": 4410},
    cost=Cost(seconds=1.0),
    commands=("etcdctl compact --physical 4410",),
)


def defrag(name):
    return Change(
        step="defrag",
        uses="etcd.defrag",
        verb="defragment",
        object=f"https://{name}:2380",
        label=name,
        reason="NOSPACE, and a compaction freed up to 60 MiB",
        risk=Risk.DISRUPTIVE,
        effects=(Effect.STALLS_MEMBER,),
        cost=Cost(seconds=0.7, stalls={name: 0.65}, note="gives back up to 60 MiB"),
        commands=(f"etcdctl --endpoints=https://{name}:2379 defrag",),
    )


DISARM = Change(
    step="disarm",
    uses="etcd.alarm-disarm",
    verb="disarm",
    object="NOSPACE m1",
    label="NOSPACE of m1",
    reason="etcd refuses writes until it is disarmed",
    risk=Risk.DISRUPTIVE,
    effects=(Effect.DISARMS,),
    conditional="every member must be below 90 % of its quota after the defragmentation",
    cost=Cost(seconds=0.1),
    commands=("etcdctl alarm disarm",),
)


def sample_plan(*changes, **fields):
    whole = {
        "runbook": "etcd-nospace",
        "text": "runbook: etcd-nospace\n",
        "origin": "etcd-nospace.yaml",
        "params": {},
        "cluster": "prod",
        "identity": Identity(etcd_cluster_id="c0ffee", etcd_member_ids=("1a", "2b", "3c")),
        "made_at": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        "changes": changes,
    }
    return Plan(**(whole | fields))


RECOVERY = sample_plan(
    SNAPSHOT,
    COMPACT,
    defrag("m2"),
    defrag("m1"),
    DISARM,
    findings=(NOSPACE, BLIND, NOTE),
    held=(
        Held(
            what="defragment m3",
            why="disk-free: free space on m3 is unknown",
            refused=True,
            accept="disk-free",
            commands=("etcdctl --endpoints=https://m3:2379 defrag  # check: df on m3",),
        ),
        Held(what="step move_leader", why="the metrics of m3 could not be read", refused=False),
    ),
    skipped=(
        Skipped(step="census", uses="etcd.census", reason="not needed: steps.status.quota_used >= 0.75"),
    ),
)


REVERSIBLE = msgspec.structs.replace(defrag("m1"), risk=Risk.REVERSIBLE)
QUESTIONS = {
    "reversible": sample_plan(REVERSIBLE),
    "disruptive": sample_plan(defrag("m1")),
    "irreversible": sample_plan(SNAPSHOT, COMPACT, defrag("m1")),
    "read": sample_plan(SNAPSHOT),
}


def recovery_journal(*, until=None):
    """Return the records of the run; `until` ends it as a kill would, after that many records."""
    clock = MovingClock()
    journal = Journal(None, clock)
    journal.write(
        "begin",
        {
            "run": RUN_ID,
            "runbook": "etcd-nospace",
            "text": "runbook: etcd-nospace\n",
            "origin": "etcd-nospace.yaml",
            "given": {"window": "10s"},
            "cluster": "prod",
            "user": "ana",
            "host": "jump",
            "pid": 4711,
            "version": "0.1.0",
            "accepted": ["disk-free"],
            "unattended": False,
        },
    )
    clock.pause(0.4)
    journal.write("retry", {"what": "status", "cause": "no answer in 1.2 s"})
    clock.pause(1.2)
    journal.write("plan", {"plan": RECOVERY})
    clock.pause(7.0)
    journal.write(
        "approval",
        {"how": "typed the cluster's name", "lock": "this machine (flock)", "changes": RECOVERY.changes},
    )
    for change, seconds, measured in (
        (SNAPSHOT, 1.3, {"size_bytes": 68_000_000}),
        (COMPACT, 0.4, {}),
        (defrag("m2"), 0.6, {"stall_seconds": 0.57, "reclaimed_bytes": 66_000_000}),
    ):
        journal.write("intent", {"change": change})
        clock.pause(seconds)
        outcome = Outcome(result=Result.DONE, evidence="looked, and it is so", measured=measured)
        body = {
            "key": change.key,
            "verb": change.verb,
            "outcome": msgspec.to_builtins(outcome),
            "seconds": seconds,
        }
        journal.write("outcome", body)
    journal.write("dropped", {"key": defrag("m1").key, "reason": "no longer due"})
    journal.write("intent", {"change": DISARM})
    clock.pause(0.1)
    outcome = Outcome(result=Result.NOT_DONE, evidence="NOSPACE is still listed")
    body = {"key": DISARM.key, "verb": "disarm", "outcome": msgspec.to_builtins(outcome), "seconds": 0.1}
    journal.write("outcome", body)
    clock.pause(0.5)
    journal.write(
        "verify", {"plan": msgspec.structs.replace(RECOVERY, changes=(DISARM,), findings=(NOSPACE,))}
    )
    ending = Ending(
        exit_code=5,
        sentence="disarm NOSPACE of m1: NOSPACE is still listed",
        touched="changes were made",
        then=f"sretool resume {RUN_ID}",
        commands=("etcdctl alarm list", "etcdctl alarm disarm  # check: below 90 %"),
    )
    journal.write("end", msgspec.to_builtins(ending))
    return journal.records[:until]
