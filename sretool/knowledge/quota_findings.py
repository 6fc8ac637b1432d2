"""What a quota rollout says before it changes anything: the use, and what would be rejected next."""

from collections.abc import Iterator, Sequence

from sretool.knowledge.quantities import parse_quantity
from sretool.knowledge.quota_view import Place, RolloutView
from sretool.knowledge.quotas import LIMIT_RANGE, Template, write_amount
from sretool.knowledge.words import listed
from sretool.model import Evidence, Finding, Severity

SHOWN_NAMESPACES = 20  # more findings of one kind than this are counted, not listed


def rollout_findings(view: RolloutView) -> Iterator[Finding]:
    """Yield what each namespace uses, and what its quota would reject next."""
    due = [place for place in view.places if place.is_due]
    if due:
        yield _overview(due, view)
    yield from _some([one for place in due for one in _next_rejected(place, view.template)])
    yield from _some([one for place in view.places for one in _two_defaults(place, view)])
    uncounted = [place.name for place in view.places if place.is_uncounted]
    if uncounted:
        yield Finding(
            severity=Severity.WARNING,
            sentence=f"in {_few(uncounted)} use is not counted yet: what the quota limits cannot be created",
        )


def _overview(due: Sequence[Place], view: RolloutView) -> Finding:
    fullest = sorted(due, key=lambda place: -_fullness(place, view.template))
    return Finding(
        severity=Severity.NOTE,
        sentence=f"{len(due)} of {len(view.places)} chosen namespaces are not as the template says; "
        f"{view.without_quota} namespaces have no quota at all",
        evidence=tuple(
            Evidence(
                what=f"{place.name} {name}",
                value=write_amount(name, place.use.used[name]),
                threshold=limit,
                source="pods and objects, counted",
            )
            for place in fullest[:SHOWN_NAMESPACES]
            for name, limit in view.template.hard.items()
            if name in place.use.used
        ),
    )


def _fullness(place: Place, template: Template) -> float:
    return max(
        (
            place.use.used.get(name, 0) / max(parse_quantity(limit), 1)
            for name, limit in template.hard.items()
        ),
        default=0.0,
    )


def _next_rejected(place: Place, template: Template) -> Iterator[Finding]:
    """Say what would be rejected next: a pod like today's largest, or one that does not name its resources."""
    tight = []
    for name, limit in template.hard.items():
        need, pod = place.use.largest.get(name, (0, ""))
        used, hard = place.use.used.get(name, 0), parse_quantity(limit)
        if need and used + need > hard:
            tight.append(
                Evidence(
                    what=f"{name}, of which a pod like {pod} needs {write_amount(name, need)}",
                    value=write_amount(name, used),
                    threshold=limit,
                    source="pods, counted",
                )
            )
    if tight:
        yield Finding(
            severity=Severity.WARNING,
            subject=place.name,
            sentence=f"{place.name}: with this quota the next pod like today's largest is rejected "
            f"({', '.join(one.what.split(',')[0] for one in tight)})",
            evidence=tuple(tight),
        )
    yield from _above_default(place, template)
    must_be_named = template.must_be_named(place.defaults)
    unnamed = [name for name in sorted(must_be_named) if place.use.unnamed.get(name)]
    if unnamed:
        yield Finding(
            severity=Severity.WARNING,
            subject=place.name,
            sentence=f"{place.name}: with this quota pods that do not name {listed(unnamed)} are rejected",
            evidence=tuple(
                Evidence(
                    what=f"pods of today that do not name {name}",
                    value=str(place.use.unnamed[name]),
                    threshold="no default",
                    source="pods, counted",
                )
                for name in unnamed
            ),
        )


def _above_default(place: Place, template: Template) -> Iterator[Finding]:
    """Say which pods could not come back: as their limit they would get one that is below their request."""
    if place.use.above:
        yield Finding(
            severity=Severity.WARNING,
            subject=place.name,
            sentence=f"{place.name}: with this default limit of {listed(sorted(place.use.above))} the replacements "
            "of pods that request more, and name no limit, are rejected",
            evidence=tuple(
                Evidence(
                    what=f"{name} that a container of {pod} requests, without a limit",
                    value=write_amount(name, need),
                    threshold=f"the default limit {template.default_limits[name]}",
                    source="pods, counted",
                )
                for name, (need, pod) in sorted(place.use.above.items())
            ),
        )


def _two_defaults(place: Place, view: RolloutView) -> Iterator[Finding]:
    if place.others and LIMIT_RANGE in view.template.specs:
        yield Finding(
            severity=Severity.WARNING,
            subject=place.name,
            sentence=f"{place.name} has defaults for containers from LimitRange {listed(place.others)} too: "
            "which of them wins is not defined",
        )


def _some(findings: Sequence[Finding]) -> Iterator[Finding]:
    yield from findings[:SHOWN_NAMESPACES]
    if len(findings) > SHOWN_NAMESPACES:
        rest = [one.subject for one in findings[SHOWN_NAMESPACES:]]
        yield Finding(
            severity=Severity.WARNING, sentence=f"the same goes for {len(rest)} more namespaces: {_few(rest)}"
        )


def _few(names: Sequence[str]) -> str:
    if len(names) <= SHOWN_NAMESPACES:
        return listed(names)
    return f"{', '.join(names[:SHOWN_NAMESPACES])} and {len(names) - SHOWN_NAMESPACES} more"
