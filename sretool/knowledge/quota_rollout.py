"""What a quota rollout changes: in which namespaces, in which waves, what it refuses, what it warns of."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from sretool.knowledge.kubernetes_paths import object_path
from sretool.knowledge.quantities import parse_quantity
from sretool.knowledge.quota_findings import rollout_findings
from sretool.knowledge.quota_view import Place, RolloutView, State
from sretool.knowledge.quotas import KINDS, PLURALS, Template, write_amount
from sretool.knowledge.words import listed
from sretool.model import Change, Cost, Effect, Held, Proposal, Risk

FIELD_MANAGER = "sretool"
VERB = "apply-quota"
WAVE_SHARE, WAVE_MOST = 0.1, 500  # after one canary a tenth of the namespaces, then the rest in pages
CHANGE_SECONDS = 0.05  # two server-side applies and a look, measured on the lab


def rollout_proposal(view: RolloutView, *, allow_over: bool, uses: str) -> Proposal:
    """Return the waves (canary, a tenth, the rest), what each namespace uses, and what is refused. Pure."""
    if view.refusal:
        commands = ("kubectl get namespaces --show-labels",)
        return Proposal(held=(Held(what=VERB, why=view.refusal, refused=True, commands=commands),))
    held: list[Held] = []
    due: list[Change] = []
    for place in view.places:
        why = _why_not(place, view.template, allow_over=allow_over) if place.is_due else ""
        if why:
            by_hand = place.refused_commands or (
                f"kubectl -n {place.name} describe resourcequotas,limitranges",
            )
            held.append(Held(what=f"{VERB} {place.name}", why=why, refused=True, commands=by_hand))
        elif place.is_due:
            due.append(_change(place, view, uses=uses))
    settled = sum(not place.is_due for place in view.places)
    return Proposal(
        waves=tuple(_waves(due, settled=settled, total=len(view.places))),
        findings=tuple(rollout_findings(view)),
        held=tuple(held),
    )


def body_of(place: Mapping[str, Any], kind: str, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration to apply so that ours of the object is `state`; its uid is a precondition.

    `place` is a change's selection: `namespace`, and by kind `names` and the `uids` of what is there.
    """
    metadata = {"name": place["names"][kind], "namespace": place["namespace"]} | state.get("metadata", {})
    uid = place["uids"].get(kind)
    fields = {name: value for name, value in state.items() if name != "metadata"}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata | ({"uid": uid} if uid else {})} | fields


def selection_of(place: Place, names: Mapping[str, str]) -> Mapping[str, Any]:
    """Return which objects of `place` are to be applied: the selection of its change."""
    return {
        "namespace": place.name,
        "names": {kind: names[kind] for kind in place.wanted},
        "uids": {kind: uid for kind, uid in place.uids.items() if kind in place.wanted},
    }


def to_apply(change: Change) -> Mapping[str, State]:
    """Return the states that differ from what was there, in the order in which they are to be applied."""
    kinds = [kind for kind in KINDS if kind in change.after and change.after[kind] != change.before[kind]]
    return {kind: change.after[kind] for kind in (reversed(kinds) if change.reverses else kinds)}


def path_of(namespace: str, kind: str, name: str) -> str:
    """Return where the API keeps the object."""
    return object_path("v1", PLURALS[kind], name, namespace=namespace)


def _waves(due: Sequence[Change], *, settled: int, total: int) -> Iterator[tuple[Change, ...]]:
    """Part `due` by how many of the `total` are `settled` already: so a resumed rollout goes on where it was."""
    rest = list(due)
    while rest:
        if settled == 0:
            size = 1
        elif settled < 1 + WAVE_SHARE * total:
            size = max(1, min(WAVE_MOST, int(1 + WAVE_SHARE * total - settled + 0.999)))
        else:
            size = WAVE_MOST
        yield tuple(rest[:size])
        settled += len(rest[:size])
        rest = rest[size:]


def _why_not(place: Place, template: Template, *, allow_over: bool) -> str:
    if place.refusal:
        return place.refusal
    over = _over(place, template)
    if over and not allow_over:
        return f"{listed(over)}: every new pod would be rejected, replacements too (allow_over permits it)"
    return ""


def _over(place: Place, template: Template) -> list[str]:
    return [
        f"{name} is {limit}, used are {write_amount(name, used)}"
        for name, limit in template.hard.items()
        if (used := place.use.used.get(name, 0)) > parse_quantity(limit)
    ]


def _change(place: Place, view: RolloutView, *, uses: str) -> Change:
    kinds = place.differing
    change = Change(
        step=uses,
        uses=uses,
        verb=VERB,
        object=place.name,
        label=place.name,
        reason=_reason(place, kinds, view),
        risk=Risk.REVERSIBLE,
        effects=(Effect.SETS_QUOTA,),
        selection=selection_of(place, view.names),
        before=dict(place.now),
        after=dict(place.wanted),
        bounds={
            kind: f"{view.names[kind]}: {place.found.get(kind, 'absent')} -> {_text(place.wanted[kind])}"
            for kind in kinds
        },
        cost=Cost(seconds=CHANGE_SECONDS * len(kinds)),
    )
    return msgspec.structs.replace(change, commands=tuple(_commands(change)))


def _reason(place: Place, kinds: Sequence[str], view: RolloutView) -> str:
    parts = [f"{'changes' if kind in place.found else 'new'} {kind} {view.names[kind]}" for kind in kinds]
    use = [
        f"{name} {write_amount(name, place.use.used[name])} of {limit}"
        for name, limit in view.template.hard.items()
        if name in place.use.used
    ]
    return f"{listed(parts)}" + (f"; used: {', '.join(use)}" if use else "")


def _commands(change: Change) -> Iterator[str]:
    for kind, state in to_apply(change).items():
        body = json.dumps(body_of(change.selection, kind, state or {}), separators=(",", ":"))
        yield f"echo {shlex.quote(body)} | kubectl apply --server-side --field-manager={FIELD_MANAGER} -f -"


def _text(state: State) -> str:
    return json.dumps(state, sort_keys=True, separators=(",", ":"))
