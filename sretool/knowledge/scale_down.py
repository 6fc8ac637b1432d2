"""What scaling a runaway Deployment down takes: what is found, what is refused, and the changes in their order."""

from collections.abc import Iterator, Mapping

from sretool.knowledge.namespaces import SYSTEM_NAMESPACES
from sretool.knowledge.replica_owners import Source
from sretool.knowledge.replica_writes import CAP_VERB, PAUSE_VERB, PAUSED, SCALE_VERB
from sretool.knowledge.words import first_of, listed
from sretool.knowledge.workloads import RUNAWAY_GAP, RUNAWAY_SHARE, Scaler, ScaleView, Workload
from sretool.model import Change, Cost, Effect, Evidence, Finding, Held, Proposal, Risk, Severity

OUTAGE_SHARE = 0.5  # fewer than half of what is ready now needs `accept_outage`
DELETIONS_PER_SECOND = 20.0  # --kube-api-qps of the controller-manager


def scale_proposal(view: ScaleView, *, replicas: int, accept_outage: bool, uses: str) -> Proposal:
    """Return the waves: each autoscaler is held first, then the Deployment is scaled; or why it is not."""
    findings = tuple(_runaway(one) for one in view.workloads if one.is_runaway)
    if not view.is_named:
        well = Finding(severity=Severity.OK, sentence="no Deployment runs away")
        held = tuple(_unnamed(one) for one in view.workloads if one.is_runaway)
        return Proposal(findings=(*findings, *_besides(view)) or (well,), held=held)
    if view.missing:
        return Proposal(findings=findings, held=(Held(what="scale down", why=view.missing, refused=False),))
    waves: list[tuple[Change, ...]] = []
    for workload in view.workloads:
        changes = tuple(_changes(workload, replicas, uses))
        refusal = _refusal(workload, replicas, accept_outage=accept_outage) if changes else None
        if refusal:
            return Proposal(findings=findings, held=(refusal,))
        waves += [(change,) for change in changes]
    return Proposal(waves=tuple(waves), findings=findings)


# -- findings and refusals ----------------------------------------------------------------------------------


def _runaway(workload: Workload) -> Finding:
    lacking = f"the nodes lack {listed(workload.lacking)}" if workload.lacking else "no node takes them"
    bounds = listed(
        [f"{one.kind} {one.name} allows {one.minimum} to {one.maximum}" for one in workload.scalers]
    )
    return Finding(
        severity=Severity.CRITICAL,
        verdict="runaway",
        subject=workload.title,
        sentence=(
            f"the Deployment {workload.title} runs away: {workload.desired} replicas are desired, "
            f"{workload.ready} are ready and {workload.pending} pending ({lacking})"
            + (f"; {bounds}" if bounds else "; no autoscaler sets it")
        ),
        evidence=(
            Evidence(
                what="desired beyond ready",
                value=str(workload.desired - workload.ready),
                threshold=f"more than {RUNAWAY_GAP} and {RUNAWAY_SHARE:.0%} of desired",
                source=f"deployment {workload.title}: spec.replicas, status.readyReplicas",
            ),
            Evidence(
                what="pending pods", value=str(workload.pending), source="pods: status.phase, PodScheduled"
            ),
            *(
                Evidence(
                    what=f"{one.kind} {one.name}",
                    value=f"{one.minimum} to {one.maximum}",
                    source="spec.minReplicas, spec.maxReplicas",
                )
                for one in workload.scalers
            ),
        ),
    )


def _besides(view: ScaleView) -> Iterator[Finding]:
    if view.besides:
        yield Finding(
            severity=Severity.CRITICAL,
            verdict="runaway",
            subject=view.besides[0],
            sentence=f"{len(view.besides)} more Deployments run away, their autoscalers and owners were not looked "
            f"at: {first_of(view.besides)}",
        )


def _unnamed(workload: Workload) -> Held:
    named = f"-p namespace={workload.namespace} -p deployment={workload.name}"
    return Held(
        what=f"scale down {workload.title}",
        why="sretool does not choose the number of replicas: name the Deployment and the number",
        refused=True,
        commands=(f"sretool runbook runaway-deployment {named} -p replicas=N",),
    )


def _refusal(workload: Workload, replicas: int, *, accept_outage: bool) -> Held | None:
    """Return why this workload may not be scaled to `replicas` by us, None when it may."""
    what = f"scale down {workload.title}"
    command = f"kubectl -n {workload.namespace} scale deployment {workload.name} --replicas={replicas}"
    if workload.namespace in SYSTEM_NAMESPACES:
        return Held(what=what, why=f"{workload.namespace} is a system namespace", refused=True)
    for owners in (workload.owners, *(scaler.owners for scaler in workload.scalers)):
        if owners:
            return _owned(what, owners[0], workload.namespace)
    if workload.kept_by:
        return _kept(what, workload.kept_by, f"commit replicas: {replicas} for {workload.title}", command)
    for scaler in workload.scalers:
        if scaler.kept_by:
            commit = f"commit maxReplicas: {replicas} for the {scaler.kind} {scaler.name}"
            return _kept(what, scaler.kept_by, commit, command)
    if replicas < OUTAGE_SHARE * workload.ready and not accept_outage:
        why = (
            f"{replicas} is less than half of the {workload.ready} replicas that are ready and serve: "
            "accept_outage permits it"
        )
        return Held(what=what, why=why, refused=True, commands=(command,))
    return None


def _owned(what: str, owner: str, namespace: str) -> Held:
    kind, _, name = owner.partition("/")
    why = f"it belongs to {owner}, whose controller would put it back: change that {kind}"
    edit = f"kubectl -n {namespace} edit {kind.lower()} {name}"
    return Held(what=what, why=why, refused=True, commands=(edit,))


def _kept(what: str, source: Source, commit: str, command: str) -> Held:
    why = f"{source.name} would put it back: {commit}, or suspend it first"
    return Held(what=what, why=why, refused=True, commands=(f"# {commit}", source.suspend, command))


# -- changes -----------------------------------------------------------------------------------------------


def _changes(workload: Workload, replicas: int, uses: str) -> Iterator[Change]:
    over = workload.desired > replicas
    for scaler in workload.scalers:
        if scaler.kind == "ScaledObject":
            if over and scaler.paused != str(replicas):
                yield _pause(workload, scaler, replicas, uses)
        elif scaler.maximum > replicas and (over or scaler.desired > replicas):
            yield _cap(workload, scaler, replicas, uses)
    if over:
        yield _scale(workload, replicas, uses)


def _cap(workload: Workload, hpa: Scaler, replicas: int, uses: str) -> Change:
    before = {"minReplicas": hpa.minimum, "maxReplicas": hpa.maximum}
    after = {"minReplicas": min(hpa.minimum, replicas), "maxReplicas": replicas}
    return Change(
        step=uses,
        uses=uses,
        verb=CAP_VERB,
        object=f"horizontalpodautoscalers/{workload.namespace}/{hpa.name}",
        label=f"{workload.namespace}/{hpa.name}",
        reason=f"held at {replicas}: as {hpa.minimum} to {hpa.maximum} it would scale {workload.title} up again",
        risk=Risk.DISRUPTIVE,
        reversible=True,
        effects=(Effect.SCALES,),
        selection=_selection(workload, hpa.name, hpa.uid, hpa.resource_version),
        before=before,
        after=after,
        bounds={"maxReplicas": replicas},
        undone_first=True,
        cost=Cost(seconds=1.0),
        commands=(_patch_hpa(workload, hpa, after),),
        commands_back=(_patch_hpa(workload, hpa, before),),
    )


def _pause(workload: Workload, scaled: Scaler, replicas: int, uses: str) -> Change:
    command = f"kubectl -n {workload.namespace} annotate scaledobject {scaled.name} --overwrite"
    return Change(
        step=uses,
        uses=uses,
        verb=PAUSE_VERB,
        object=f"scaledobjects/{workload.namespace}/{scaled.name}",
        label=f"{workload.namespace}/{scaled.name}",
        reason=f"held at {replicas}: KEDA would scale {workload.title} up again",
        risk=Risk.DISRUPTIVE,
        reversible=True,
        effects=(Effect.SCALES,),
        selection=_selection(workload, scaled.name, scaled.uid, scaled.resource_version),
        before={"paused": scaled.paused},
        after={"paused": str(replicas)},
        bounds={"replicas": replicas},
        undone_first=True,
        cost=Cost(seconds=1.0),
        commands=(f"{command} {PAUSED}={replicas}",),
        commands_back=(f"{command} {PAUSED}{f'={scaled.paused}' if scaled.paused else '-'}",),
    )


def _scale(workload: Workload, replicas: int, uses: str) -> Change:
    command = f"kubectl -n {workload.namespace} scale deployment {workload.name}"
    return Change(
        step=uses,
        uses=uses,
        verb=SCALE_VERB,
        object=f"deployments/{workload.namespace}/{workload.name}",
        label=workload.title,
        reason=f"from {workload.desired} to {replicas}: {workload.ready} are ready, {workload.pending} pending",
        risk=Risk.DISRUPTIVE,
        reversible=True,
        effects=(Effect.SCALES,),
        selection=_selection(workload, workload.name, workload.uid, workload.resource_version),
        before={"replicas": workload.desired},
        after={"replicas": replicas},
        bounds={"replicas": replicas, "ready_lost": workload.ready_lost(replicas)},
        cost=Cost(seconds=(workload.desired - replicas) / DELETIONS_PER_SECOND),
        commands=(f"{command} --current-replicas={workload.desired} --replicas={replicas}",),
        commands_back=(f"{command} --current-replicas={replicas} --replicas={workload.desired}",),
    )


def _selection(workload: Workload, name: str, uid: str, resource_version: str) -> dict[str, str]:
    return {"namespace": workload.namespace, "name": name, "uid": uid, "resource_version": resource_version}


def _patch_hpa(workload: Workload, hpa: Scaler, values: Mapping[str, int]) -> str:
    fields = ",".join(f'"{name}":{value}' for name, value in values.items())
    return f"kubectl -n {workload.namespace} patch hpa {hpa.name} --type=merge -p '{{\"spec\":{{{fields}}}}}'"
