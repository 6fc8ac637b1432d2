"""kubernetes.event-cleanup, the decisions: who writes, what is deleted in which batches, and what is refused."""

import datetime

import msgspec
import pytest

from sretool.cluster.events import Event, Survey
from sretool.knowledge.events import BATCH, WAVE, Batch, EventView, Group, Selected, event_proposal
from sretool.model import Risk
from sretool.step import Duration
from sretool.steps.kubernetes_event_cleanup import KubernetesEventCleanupParams

USES = "kubernetes.event-cleanup"
NOW = datetime.datetime(2026, 3, 1, 12, 0, 0, tzinfo=datetime.UTC)


def group(**changed):
    values = {
        "namespace": "shop",
        "reason": "FailedScheduling",
        "reporter": "default-scheduler",
        "kind": "Pod",
        "about": "web-*",
        "count": 900,
        "per_minute": 0,
        "just_now": 0,
    }
    return Group(**values | changed)


SCHEDULER = group()


def selected(objects, *, overdue=None, **changed):
    sizes = [BATCH] * (objects // BATCH) + ([objects % BATCH] if objects % BATCH else [])
    batches = tuple(Batch(last=f"pod-{index:03d}", objects=size) for index, size in enumerate(sizes))
    values = {"namespace": "shop", "reason": "FailedScheduling", "export": "/state/shop.jsonl"}
    return Selected(batches=batches, overdue=objects if overdue is None else overdue, **values | changed)


def proposed(
    *chosen, groups=(SCHEDULER,), earlier=(), named=True, probe=0.005, while_written=False, flood=100_000
):
    view = EventView(
        total=sum(one.count for one in groups),
        groups=groups,
        selected=chosen,
        is_named=named,
        has_age=False,
        probe_seconds=probe,
    )
    return event_proposal(view, flood=flood, while_written=while_written, earlier=earlier, uses=USES)


def numbers(proposal):
    return [int(one.object.rpartition("/")[2]) for one in proposal.changes if one.verb == "delete-events"]


def done(changes):
    return tuple(msgspec.structs.replace(change, made=True) for change in changes)


def test_the_export_comes_first_and_batches_are_bounded_and_say_that_new_ones_go_too():
    proposal = proposed(selected(1000))
    export, *deletes = proposal.changes
    assert (export.verb, export.risk, len(proposal.waves[0])) == ("export-events", Risk.READ, 1)
    assert [one.before["objects"] for one in deletes] == [450, 450, 100]
    assert {one.risk for one in deletes} == {Risk.IRREVERSIBLE}
    assert {one.selection["limit"] for one in deletes} == {500}
    assert all("including new ones" in one.reason for one in deletes)
    assert len({one.key for one in proposal.changes}) == 4


def test_waves_are_bounded():
    waves = proposed(selected(45 * BATCH)).waves
    assert [len(wave) for wave in waves] == [1, WAVE, WAVE, 5]


def test_what_is_left_keeps_the_names_that_were_approved():
    first = proposed(selected(10 * BATCH))
    made = done([*first.waves[0], *first.waves[1][:4]])
    assert numbers(first) == list(range(10, 0, -1))
    assert numbers(proposed(selected(6 * BATCH), earlier=made)) == [6, 5, 4, 3, 2, 1]
    assert numbers(proposed(selected(5 * BATCH), earlier=made)) == [5, 4, 3, 2, 1]  # more was deleted
    grown = proposed(selected(20 * BATCH), earlier=made)  # what came meanwhile is not approved
    assert numbers(grown) == [6, 5, 4, 3, 2, 1]
    assert {one.key for one in grown.changes} <= {one.key for one in first.changes}
    assert grown.changes[0].selection["last"] == "pod-000"


def test_a_source_that_still_writes_refuses_the_deletion_and_says_what_stops_it():
    proposal = proposed(selected(900), groups=(group(just_now=80, per_minute=900),))
    assert proposal.waves == ()
    (held,) = proposal.held
    assert held.refused
    assert "default-scheduler wrote 80 of them in the last 5 s about Pod web-*" in held.why
    assert held.commands == ("sretool runbook runaway-deployment",)
    assert proposed(selected(900), groups=(group(just_now=80),), while_written=True).waves


@pytest.mark.parametrize(
    "groups",
    [
        (group(just_now=4),),
        (group(), group(reason="BackOff", just_now=80)),
        (group(namespace="x", just_now=9),),
    ],
)
def test_single_new_events_and_others_sources_do_not_keep_it(groups):
    assert proposed(selected(900), groups=groups).held == ()


def test_a_slow_api_refuses_a_deletion():
    proposal = proposed(selected(900), probe=1.4)
    assert (proposal.waves, proposal.held[0].refused) == ((), True)
    assert "a small GET takes 1.4 s" in proposal.held[0].why


@pytest.mark.parametrize(
    ("waves", "chosen"), [(0, selected(99)), (0, selected(900, overdue=99)), (2, selected(100))]
)
def test_few_events_are_left_to_expire(waves, chosen):
    assert len(proposed(chosen).waves) == waves


def test_what_was_begun_is_ended_although_little_is_left():
    made = done(proposed(selected(900)).changes[:2])
    assert numbers(proposed(selected(40, overdue=0), earlier=made)) == [1]


@pytest.mark.parametrize(("verdicts", "flood"), [(["event-flood"], 900), ([], 901)])
def test_a_flood_names_its_writer_with_numbers(verdicts, flood):
    findings = proposed(named=False, flood=flood).findings
    assert [one.verdict for one in findings] == verdicts
    for finding in findings:
        assert (
            "900 of them are FailedScheduling in shop, by default-scheduler about Pod web-*"
            in finding.sentence
        )


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ("belong together", {"namespaces": "shop"}),
        ("belong together", {"reasons": "BackOff"}),
        ("'Shop' is no name of a namespace", {"namespaces": "Shop", "reasons": "BackOff"}),
        ("'a=b' is no reason", {"namespaces": "shop", "reasons": "a=b"}),
        ("',' is no name", {"namespaces": ",", "reasons": "BackOff"}),
        ("older_than needs", {"older_than": Duration.parse("5m")}),
    ],
)
def test_a_selection_that_is_half_or_malformed_is_an_error_before_any_request(words, given):
    with pytest.raises(ValueError, match=words):
        KubernetesEventCleanupParams(**given)


# -- the survey ------------------------------------------------------------------------------------------------


class Pages:
    """What a reader is to the survey: pages of events, as they were written down."""

    def __init__(self, *events):
        self.events = [msgspec.convert(one, Event) for one in events]

    def typed_pages(self, path, item, **_):
        assert path == "/api/v1/events"
        yield self.events


def event(name, *, seconds_ago=600, reason="BackOff", namespace="shop", obj="web-7d9c5b8f4-x2x9z", **changed):
    at = (NOW - datetime.timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")
    meta = {
        "name": name,
        "namespace": namespace,
        "uid": f"u-{name}",
        "resourceVersion": "5",
        "creationTimestamp": at,
    }
    base = {
        "metadata": meta,
        "reason": reason,
        "involvedObject": {"kind": "Pod", "name": obj},
        "reportingComponent": "kubelet",
    }
    return base | changed


def survey(*events, **given):
    values = {
        "now": NOW,
        "namespaces": (),
        "reasons": (),
        "older_than": 0.0,
        "most": 10_000,
        "is_named": False,
    }
    found = Survey(**values | given)
    found.read(Pages(*events))
    return found


def test_events_are_grouped_by_namespace_reason_reporter_and_kind_and_objects_by_what_they_are_of():
    found = survey(
        event("a", seconds_ago=2),
        event("b", seconds_ago=30, obj="web-7d9c5b8f4-abcde"),
        event("c"),
        event("d", reason="Pulled", reportingComponent="", source={"component": "old-kubelet"}),
    )
    first, second = found.groups()
    assert (first.count, first.per_minute, first.just_now, first.about) == (3, 2, 1, "web-*")
    assert (second.reason, second.reporter) == ("Pulled", "old-kubelet")


def test_more_groups_than_can_be_held_are_counted_together():
    found = survey(*(event(f"e{one}", reason=f"Reason{one}") for one in range(2100)))
    groups = found.groups()
    assert (found.total, len(groups), groups[0].reason, groups[0].count) == (2100, 2001, "(others)", 100)


@pytest.mark.parametrize(
    ("taken", "changed"),
    [
        (True, {"seconds_ago": 400}),
        (False, {"seconds_ago": 200}),
        (False, {"seconds_ago": 400, "lastTimestamp": "2026-03-01T11:59:00Z"}),  # written again a minute ago
        (False, {"seconds_ago": 400, "series": {"lastObservedTime": "2026-03-01T11:59:00.123456Z"}}),
        (False, {"seconds_ago": 400, "reason": "Pulled"}),
    ],
)
def test_an_age_floor_takes_what_was_written_last_before_it(taken, changed, tmp_path):
    found = survey(event("a", **changed), reasons=("BackOff",), older_than=300.0, is_named=True)
    chosen = found.selected(tmp_path, stamp="now")
    assert [one.batches[0].each[0].uid for one in chosen] == ["u-a"] * taken


def test_batches_end_at_their_size_and_at_the_most_that_may_go(tmp_path):
    events = [event(f"e{one:04d}") for one in range(1200)]
    (chosen,) = survey(*events, reasons=("BackOff",), is_named=True).selected(tmp_path, stamp="now")
    assert [(one.last, one.objects, one.each) for one in chosen.batches] == [
        ("e0449", 450, ()),
        ("e0899", 450, ()),
        ("e1199", 300, ()),
    ]
    (few,) = survey(*events, reasons=("BackOff",), is_named=True, most=500).selected(tmp_path, stamp="now")
    assert few.objects == 500
