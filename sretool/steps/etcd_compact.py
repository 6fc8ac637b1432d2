"""The step etcd.compact: forget etcd's history, so that a defragmentation can give its space back."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from sretool.cluster import ClusterReader, ClusterWriter
from sretool.cluster.compaction import read_compact_revisions, read_compaction, read_revision_rate
from sretool.cluster.etcd_reader import EtcdReader
from sretool.errors import CompactedError, RemoteError
from sretool.knowledge.alarms import has_nospace
from sretool.knowledge.compaction import is_worth_compacting, revision_of_five_minutes_ago
from sretool.knowledge.metric_names import COMPACTION_BATCHES, COMPACTIONS_FINISHED
from sretool.model import (
    PROCESS_START,
    Change,
    Cost,
    Effect,
    Finding,
    Held,
    Known,
    MetricsPage,
    Outcome,
    Proposal,
    Result,
    Risk,
    Severity,
    Unknown,
    known_only,
    value_of,
)
from sretool.step import Step

COMPACT_SECONDS = 120.0  # past it the compaction goes on and is watched
_MOVING_SECONDS = 0.1
_SECONDS_A_REVISION = 2e-5  # batches of 1000 with 10 ms between them, and their work


class EtcdCompactParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """It has no parameters: the target follows from the state of the cluster."""


class CompactionCount(msgspec.Struct, frozen=True, kw_only=True):
    """One member's finished compactions since its process started."""

    name: str
    finished: Known[float]
    started: Known[float]


class EtcdCompactFacts(msgspec.Struct, frozen=True, kw_only=True):
    """How much history there is and why it might have to go. `five_minutes_ago` is read only when stalled."""

    nospace: Known[bool]
    stalled: Known[bool]
    is_kubernetes: Known[bool]
    current_revision: int
    compact_revision: Known[int]
    five_minutes_ago: Known[int]
    through: str
    endpoint: str
    members: tuple[CompactionCount, ...]


class EtcdCompact(Step[EtcdCompactParams, EtcdCompactFacts]):
    """Discard etcd's history up to a revision, physically, on every member.

    Reads alarms, revisions, the last compaction and whether Kubernetes owns this etcd. The target follows a
    rule that stands in the plan. NOSPACE: the current revision (Kubernetes' own compaction is a write, and
    fails exactly then). After keys were trimmed: the revision after the last deletion. Kubernetes stopped
    compacting: the revision of five minutes ago, estimated from the highest rate of revisions seen, now and
    on average since etcd started; rather too old than too young.

    Irreversible: watches and paged lists from before the target get «required revision has been compacted»
    and start again. Waits until every member has finished, not only the one that was asked.

    Never compacts a Kubernetes etcd that is healthy: its API server does that every five minutes. Not due
    when there is nothing to forget: two revisions, or, without space, where one may delete every key, none.
    Held while the alarms cannot be read.

    Sources: apiserver storage/etcd3/compact.go, etcd mvcc/kvstore_compaction.go, etcd issue 14595.
    """

    uses = "etcd.compact"
    risk = Risk.IRREVERSIBLE
    reads_by_hand = (
        "etcdctl --endpoints={endpoints} endpoint status -w json",
        "curl -s {metrics}/metrics | grep compact_revision",
    )

    def look(self, read: ClusterReader, params: EtcdCompactParams) -> EtcdCompactFacts:
        etcd = read.etcd
        voters = {name: status for name, status in known_only(etcd.status()).items() if not status.is_learner}
        if not voters:
            raise RemoteError(f"no voting etcd member of {read.name} answers")
        through = min(voters, key=lambda name: (not voters[name].is_leader, name))
        nospace = has_nospace(etcd.alarms())
        view = read_compaction(etcd)
        ago: Known[int] = Unknown("read only when Kubernetes stopped compacting")
        if view.stalled is True and nospace is False:
            rate = read_revision_rate(etcd, through)
            ago = (
                rate
                if isinstance(rate, Unknown)
                else revision_of_five_minutes_ago(current=view.current, per_second=rate)
            )
        return EtcdCompactFacts(
            nospace=nospace,
            stalled=view.stalled,
            is_kubernetes=etcd.is_kubernetes(),
            current_revision=view.current,
            compact_revision=view.compacted,
            five_minutes_ago=ago,
            through=through,
            endpoint=etcd.member(through).client,
            members=tuple(_count(name, etcd.metrics()[name]) for name in voters),
        )

    def plan(self, params: EtcdCompactParams, facts: EtcdCompactFacts, earlier: Sequence[Change]) -> Proposal:
        if isinstance(facts.nospace, Unknown):
            return _held(f"the alarms: {facts.nospace.reason}")
        trims = [change for change in earlier if Effect.DELETES in change.effects]
        if facts.nospace or (trims and facts.is_kubernetes is False):
            rule = "nospace" if facts.nospace else "trimmed"
            pending_trim = next((trim for trim in trims if not trim.made), None)
            if pending_trim is None and any(_is_pending_compaction(change) for change in earlier):
                return Proposal()
            return _proposal(facts, facts.current_revision, rule=rule, pending_trim=pending_trim)
        if isinstance(facts.stalled, Unknown):
            return _held(f"whether Kubernetes still compacts: {facts.stalled.reason}")
        if facts.stalled:
            if isinstance(facts.five_minutes_ago, Unknown):
                return _held(f"the revision of five minutes ago: {facts.five_minutes_ago.reason}")
            return _proposal(facts, facts.five_minutes_ago, rule="stalled", pending_trim=None)
        owner = "Kubernetes compacts this etcd itself" if facts.is_kubernetes else "etcd has space"
        return Proposal(
            findings=(Finding(severity=Severity.NOTE, sentence=f"{owner}: there is no reason to compact"),)
        )

    def apply(self, write: ClusterWriter, change: Change) -> None:
        try:
            write.etcd.compact(
                change.selection["revision"],
                through=change.selection["through"],
                timeout_seconds=COMPACT_SECONDS,
            )
        except CompactedError:
            return  # done already, by us before a crash or by somebody else

    def observe(self, read: ClusterReader, change: Change) -> Outcome:
        before: Mapping[str, Mapping[str, Any]] = change.before["members"]
        target = int(change.selection["revision"])
        etcd = read.etcd
        revisions = read_compact_revisions(etcd, tuple(before))
        known = known_only(revisions)
        behind = [name for name, revision in known.items() if revision < target]
        unread = [name for name in before if name not in known]
        if known and len(behind) == len(known):
            return Outcome(
                result=Result.CANNOT_TELL if unread else Result.NOT_DONE,
                evidence=f"history goes back to revision {max(known.values())} on {', '.join(known)}",
            )
        if behind:
            return Outcome(
                result=Result.STILL_GOING, evidence=f"{', '.join(behind)} has not begun to compact"
            )
        finished = {name: _has_finished(etcd, name, before[name]) for name in known}
        going = [name for name, answer in finished.items() if answer is False]
        unread += [name for name, answer in finished.items() if answer is None]
        if going:
            return Outcome(
                result=Result.STILL_GOING, evidence=f"{', '.join(going)} is still removing old revisions"
            )
        if unread:
            return Outcome(
                result=Result.CANNOT_TELL, evidence=f"whether {', '.join(unread)} has finished is unknown"
            )
        return Outcome(
            result=Result.DONE,
            evidence=f"every member has compacted up to revision {target} and finished",
            measured={"revision": target, "compact_revisions": dict(known)},
        )


def _proposal(facts: EtcdCompactFacts, target: int, *, rule: str, pending_trim: Change | None) -> Proposal:
    if isinstance(facts.compact_revision, Unknown):
        return _held(f"the last compacted revision: {facts.compact_revision.reason}")
    compacted, nospace = facts.compact_revision, rule == "nospace"
    if pending_trim is None and not is_worth_compacting(compacted=compacted, target=target, nospace=nospace):
        return Proposal(
            findings=(
                Finding(
                    severity=Severity.NOTE,
                    sentence=f"compacting up to revision {target} has nothing to gain: history goes back to "
                    f"{compacted}, the current revision is {facts.current_revision}",
                ),
            )
        )
    return Proposal(waves=((_change(facts, compacted, target, rule, pending_trim),),))


def _change(
    facts: EtcdCompactFacts, compacted: int, target: int, rule: str, pending_trim: Change | None
) -> Change:
    reason = {
        "nospace": "NOSPACE: up to the current revision, for Kubernetes' own compaction cannot write",
        "trimmed": "keys were deleted: up to the revision after the last deletion",
        "stalled": "Kubernetes stopped compacting: up to the revision of five minutes ago (estimated)",
    }[rule]
    return Change(
        step=EtcdCompact.uses,
        uses=EtcdCompact.uses,
        verb="compact",
        object="cluster",
        label=f"to revision {target}" if pending_trim is None else "to the revision after the trim",
        reason=reason,
        risk=Risk.IRREVERSIBLE,
        effects=(Effect.COMPACTS,),
        selection={"revision": target, "through": facts.through},
        before={
            "compact_revision": compacted,
            "members": {
                one.name: {
                    "finished": None if isinstance(one.finished, Unknown) else one.finished,
                    "started": None if isinstance(one.started, Unknown) else one.started,
                }
                for one in facts.members
            },
        },
        after={"compact_revision": target},
        bounds={"rule": rule},
        cost=Cost(
            seconds=1.0 + max(0, target - compacted) * _SECONDS_A_REVISION,
            note=f"about {max(0, target - compacted)} revisions of history are forgotten; watches older than "
            "that start again",
        ),
        conditional="" if pending_trim is None else f"the revision after «{pending_trim.verb}» was made",
        commands=(f"etcdctl --endpoints={facts.endpoint} compact --physical {target}",),
    )


def _is_pending_compaction(change: Change) -> bool:
    return Effect.COMPACTS in change.effects and not change.made


def _held(why: str) -> Proposal:
    return Proposal(held=(Held(what="compact", why=f"cannot tell {why}", refused=False),))


def _count(name: str, page: Known[MetricsPage]) -> CompactionCount:
    return CompactionCount(
        name=name, finished=value_of(page, COMPACTIONS_FINISHED), started=value_of(page, PROCESS_START)
    )


def _has_finished(etcd: EtcdReader, name: str, before: Mapping[str, Any]) -> bool | None:
    """Tell whether the member finished a compaction since `before`; None when its metrics cannot be read.

    A restart resets the counter, and etcd goes on with an unfinished compaction by itself: then, and where
    metrics could not be read before, it has finished when no batch is counted for a moment.
    """
    now = _count(name, etcd.metrics()[name])
    comparable = before["finished"] is not None and before["started"] == now.started
    if comparable and not isinstance(now.finished, Unknown):
        return bool(now.finished > before["finished"])
    first = etcd.metrics()[name]
    etcd.wait(_MOVING_SECONDS)
    second = etcd.scrape((name,))[name]
    if isinstance(first, Unknown) or isinstance(second, Unknown):
        return None
    return first.value(COMPACTION_BATCHES) == second.value(COMPACTION_BATCHES)
