"""When NOSPACE may be disarmed, which changes that makes, and what a refusal says."""

from collections.abc import Sequence

import msgspec

from sretool.knowledge.census import Census
from sretool.knowledge.space import (
    MemberSpace,
    average_put_bytes,
    commands_by_hand,
    growth_sentence,
    use_evidence,
    use_text,
)
from sretool.model import (
    PROCESS_START,
    Alarm,
    AlarmType,
    Change,
    Cost,
    Effect,
    Finding,
    Held,
    Known,
    MemberId,
    MetricsPage,
    Proposal,
    Risk,
    Severity,
    Unknown,
)

PROOF_KEY = b"sretool/proof"
OWN_PROOF_SECONDS = 5.0  # our own write was answered: members only have to apply it


class NoSpaceAlarm(msgspec.Struct, frozen=True, kw_only=True):
    """NOSPACE of one member; `is_stale` when it is certainly no member any more, else `peer_url` names it."""

    member_id: int
    name: str
    peer_url: str
    is_raised: bool
    is_stale: bool = False

    @property
    def object(self) -> str:
        """What plan and journal know the alarm by."""
        if self.is_stale:
            return f"alarm NOSPACE of removed member {MemberId(self.member_id)}"
        return f"alarm NOSPACE on {self.peer_url}"


class DisarmView(msgspec.Struct, frozen=True, kw_only=True):
    """All that deciding on a disarming needs. `revisions` are the answering members' own, by name.

    `by_etcdctl` is etcdctl as a person calls it, where every member that answers is reached by it only.
    """

    alarms: Known[tuple[Alarm, ...]]
    nospace: tuple[NoSpaceAlarm, ...]
    spaces: tuple[MemberSpace, ...]
    through: str
    revisions: tuple[tuple[str, int], ...]
    is_kubernetes: Known[bool]
    use: Known[Census]
    growth: Known[float]
    by_etcdctl: str = ""


def growth_of(pages: Sequence[MetricsPage], *, now: float) -> Known[float]:
    """Return the bytes put each second, averaged since etcd started, on the member that tells most."""
    known = [
        growth
        for page in pages
        if not isinstance(
            growth := average_put_bytes(
                put_bytes=page.value("etcd_debugging_mvcc_total_put_size_in_bytes"),
                started=page.value(PROCESS_START),
                now=now,
            ),
            Unknown,
        )
    ]
    return max(known) if known else Unknown("no member's metrics tell the bytes that were put")


def disarm_proposal(
    view: DisarmView,
    *,
    above: Known[bool],
    below: float,
    prove_within: float,
    earlier: Sequence[Change],
    uses: str,
) -> Proposal:
    """Return the disarmings that are allowed, the proof after them, or why not."""
    ours = {change.object for change in earlier if change.uses == uses and change.made}
    if held := _forbidden(view):
        return Proposal(held=(held,))
    raised = tuple(alarm for alarm in view.nospace if alarm.is_raised)
    # It was below when the first alarm was disarmed: another member's alarm above the limit is a refill too.
    if any(alarm.object in ours for alarm in raised) or (raised and ours and above is True):
        return _refusal(
            view, f"refilled while recovering: NOSPACE is raised again ({use_text(view.spaces)} of the quota)"
        )
    if not raised:
        return Proposal(waves=((_proof(view, prove_within, uses, conditional=""),),) if ours else ())
    pending = any({Effect.STALLS_MEMBER, Effect.COMPACTS} & set(c.effects) and not c.made for c in earlier)
    if above is True and not pending:
        return _refusal(
            view,
            f"a member takes {below:.0%} of its quota or more ({use_text(view.spaces)}): the next writes would "
            "raise NOSPACE again",
        )
    if isinstance(above, Unknown):  # no defragmentation of the others tells that
        why = (
            f"{above.reason}: its next write may raise NOSPACE again; start it, or remove it from etcd, first"
        )
        return Proposal(held=(Held(what="disarm NOSPACE", why=why, refused=False),))
    if view.by_etcdctl:
        return Proposal(held=(_no_exact_disarm(view.by_etcdctl),))
    conditional = (
        f"every member must be below {below:.0%} of its quota after the defragmentation"
        if above is not False
        else ""
    )
    # A full member raises the alarm when somebody writes through it: until the space is there each of them may.
    wanted = view.nospace if conditional else raised
    # In one wave: etcd takes no write before the last of them is gone, so nothing can change in between.
    disarmings = tuple(
        _disarming(view, alarm, below=below, uses=uses, conditional=conditional) for alarm in wanted
    )
    return Proposal(waves=(disarmings, (_proof(view, prove_within, uses, conditional=conditional),)))


def _forbidden(view: DisarmView) -> Held | None:
    """Return why nothing is disarmed whatever the space: CORRUPT, or a fact that is missing."""
    if isinstance(view.alarms, Unknown):
        return Held(what="disarm", why=f"the alarms could not be read: {view.alarms.reason}", refused=False)
    if any(alarm.type is AlarmType.CORRUPT for alarm in view.alarms):
        why = "CORRUPT is raised: members' data differ, and nothing is disarmed before that is settled"
        return Held(what="disarm", why=why, refused=True)
    if not any(alarm.is_raised for alarm in view.nospace):
        return None
    if isinstance(view.is_kubernetes, Unknown):
        why = f"whether Kubernetes owns this etcd is unknown: {view.is_kubernetes.reason}"
        return Held(what="disarm", why=why, refused=False)
    if any(alarm.is_raised and not alarm.is_stale and not alarm.peer_url for alarm in view.nospace):
        why = "the member list could not be read: whose alarm it is, is unknown"
        return Held(what="disarm", why=why, refused=False)
    return None


def _no_exact_disarm(by_etcdctl: str) -> Held:
    return Held(
        what="disarm NOSPACE",
        why="etcd is reached by etcdctl only, which disarms every alarm of every member, CORRUPT too: sretool "
        "disarms exactly one",
        refused=True,
        commands=(
            f"{by_etcdctl} alarm list  # go on only when every alarm is NOSPACE, and every member has space again",
            f"{by_etcdctl} alarm disarm",
        ),
    )


def _disarming(view: DisarmView, alarm: NoSpaceAlarm, *, below: float, uses: str, conditional: str) -> Change:
    who = alarm.name or f"removed member {MemberId(alarm.member_id)}"
    endpoint = next((one.endpoint for one in view.spaces if one.name == view.through), "")
    return Change(
        step=uses,
        uses=uses,
        verb="disarm",
        object=alarm.object,
        label=f"NOSPACE of {who}" + ("" if alarm.is_raised else ", should it be raised until then"),
        reason=f"every member is below {below:.0%} of its quota ({use_text(view.spaces)})"
        if not conditional
        else f"etcd refuses writes until it is disarmed ({use_text(view.spaces)} of the quota now)",
        risk=Risk.DISRUPTIVE,
        effects=(Effect.DISARMS,),
        selection={"member_id": str(MemberId(alarm.member_id)), "type": "NOSPACE", "through": view.through},
        before={"raised": True},
        after={"raised": False},
        bounds={"below": below},
        cost=Cost(seconds=0.1, note="writes resume all at once: expect a spike"),
        conditional=conditional,
        commands=(
            f"etcdctl --endpoints={endpoint} alarm disarm  # disarms every alarm: check `alarm list` for CORRUPT",
        ),
    )


def _proof(view: DisarmView, within: float, uses: str, *, conditional: str) -> Change:
    kubernetes = view.is_kubernetes is not False  # when unknown, nothing is written
    endpoint = next((one.endpoint for one in view.spaces if one.name == view.through), "")
    key = PROOF_KEY.decode()
    return Change(
        step=uses,
        uses=uses,
        verb="prove-writes",
        object="cluster",
        label="on every member",
        reason=f"wait up to {within:.0f} s for others' writes"
        if kubernetes
        else f"write and delete the throw-away key {key}",
        risk=Risk.READ if kubernetes else Risk.DISRUPTIVE,
        effects=(Effect.DISARMS,) if kubernetes else (Effect.WRITES_KEY,),  # it stalls nobody
        selection={
            "through": view.through,
            "kubernetes": kubernetes,
            "key": key,
            "within_seconds": float(within if kubernetes else min(within, OWN_PROOF_SECONDS)),
        },
        before={"revisions": dict(view.revisions)},
        after={"revisions": "advanced"},
        cost=Cost(seconds=within if kubernetes else 0.1),
        conditional=conditional,
        commands=(
            f"etcdctl --endpoints={endpoint} endpoint status -w json  # twice: the revision must advance",
        )
        if kubernetes
        else (f"etcdctl --endpoints={endpoint} put {key} x && etcdctl --endpoints={endpoint} del {key}",),
    )


def _refusal(view: DisarmView, why: str) -> Proposal:
    fullest = max(
        view.spaces, key=lambda one: -1.0 if isinstance(one.used, Unknown) else one.used, default=None
    )
    quota = fullest.quota_bytes if fullest else Unknown("no member")
    size = fullest.size_bytes if fullest else Unknown("no member")
    growth = (
        "growth is unknown"
        if isinstance(quota, Unknown) or isinstance(size, Unknown)
        else growth_sentence(growth=view.growth, quota_bytes=quota, size_bytes=size)
    )
    use = view.use
    rows = () if isinstance(use, Unknown) else use_evidence(use)
    told = f"which keys: {use.reason}" if isinstance(use, Unknown) else "the largest prefixes are listed"
    finding = Finding(
        severity=Severity.CRITICAL,
        sentence=f"the database fills its quota, and nothing planned frees enough ({told}); {growth}",
        verdict="db-large",
        evidence=rows,
    )
    commands = commands_by_hand(
        endpoints=[one.endpoint for one in view.spaces],
        census=use,
        quotas={one.name: one.quota_bytes for one in view.spaces},
    )
    return Proposal(
        findings=(finding,),
        held=(Held(what="disarm NOSPACE", why=why, refused=True, commands=commands),),
    )
