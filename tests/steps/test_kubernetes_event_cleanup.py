"""kubernetes.event-cleanup, the decisions: who writes, what is deleted in which batches, and what is refused."""

import datetime

import msgspec
import pytest

from sretool.cluster.event_deletion import first_runs, runs_of
from sretool.cluster.event_survey import Survey, Times, text_of
from sretool.cluster.events import Event
from sretool.cluster.inventory import KubernetesAccess
from sretool.engine.plan import uncovered
from sretool.knowledge.event_changes import spent_on
from sretool.knowledge.event_door import Door, choose_door
from sretool.knowledge.event_groups import BATCH, WAVES, Batch, EventView, Group, Selected
from sretool.knowledge.events import event_proposal
from sretool.knowledge.stored_events import EventPlace, place_of
from sretool.model import Risk, Unknown
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
PLACE = EventPlace(prefix="/registry/events/", known_from="the keys seen in etcd")
API = Door(way="api", reason="the API server answers a small GET in 5 ms")
ETCD = Door(way="etcd", reason="the API server is away", place=PLACE, through=("m1", "m2"))


def selected(objects, *, overdue=None, **changed):
    sizes = [BATCH] * (objects // BATCH) + ([objects % BATCH] if objects % BATCH else [])
    batches = tuple(
        Batch(first=f"at-{index:03d}", last=f"pod-{index:03d}", objects=size)
        for index, size in enumerate(sizes)
    )
    values = {"namespace": "shop", "reason": "FailedScheduling", "export": "/state/shop.jsonl"}
    return Selected(batches=batches, overdue=objects if overdue is None else overdue, **values | changed)


def proposed(
    *chosen,
    groups=(SCHEDULER,),
    earlier=(),
    named=True,
    door=API,
    while_written=False,
    flood=100_000,
    most=200_000,
    spent=0,
):
    view = EventView(
        total=sum(one.count for one in groups),
        groups=groups,
        selected=chosen,
        is_named=named,
        has_age=False,
        door=door,
        most=most,
        spent=spent,
        revision=77,
    )
    return event_proposal(view, flood=flood, while_written=while_written, earlier=earlier, uses=USES)


def numbers(proposal):
    return [int(one.object.rpartition("/")[2]) for one in proposal.changes if one.verb.startswith("delete")]


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


@pytest.mark.parametrize(
    ("limits", "most", "sizes"),
    [
        ([120], 120, [120]),
        ([450, 10], 460, [450, 10]),
        ([480], 480, [450]),  # what is left of it may be new ones
        ([500, 460], 960, [450, 450]),
    ],
)
def test_no_more_may_go_than_the_plan_says_and_a_run_permits(limits, most, sizes):
    batches = tuple(Batch(first="a", last=f"p-{index}", objects=size) for index, size in enumerate(sizes))
    few = msgspec.structs.replace(selected(sum(sizes)), batches=batches, beyond=540)
    proposal = proposed(few, most=most)
    deletes = [one for one in proposal.changes if one.verb == "delete-events"]
    assert [one.selection["limit"] for one in deletes] == limits
    assert sum(limits) <= most
    assert all(
        f"{one.selection['limit']} at most" in one.reason and one.bounds["limit"] <= most for one in deletes
    )
    assert all(f"limit={one.selection['limit']}" in one.commands[0] for one in deletes)
    left = proposal.findings[-1]
    assert left.sentence.startswith(
        f"540 of {sum(sizes) + 540} FailedScheduling in shop are left to another run"
    )


def test_what_a_run_may_not_delete_as_well_is_left_to_another_one_and_is_not_due_again():
    few = msgspec.structs.replace(selected(460), beyond=80)
    assert numbers(proposed(few, most=460)) == [2, 1]
    after = proposed(few, most=460, spent=460)
    (held,) = after.held
    assert (after.waves, held.refused) == ((), True)
    assert "540 of them are left to another run: this one has deleted 460" in held.why
    assert held.commands == ("sretool runbook event-flood -p namespaces=shop -p reasons=FailedScheduling",)
    made = done(proposed(few, most=460).changes[:2])
    assert numbers(proposed(few, most=460, spent=450, earlier=made)) == [1]  # inside the run it goes on


@pytest.mark.parametrize("came_back", [12, 900])
def test_what_comes_back_is_no_cause_that_is_gone_although_the_deletion_was_permitted(came_back):
    writing = (group(just_now=12),)
    after = proposed(selected(came_back), groups=writing, while_written=True, spent=900)
    (held,) = after.held
    assert (after.waves, "deleting cannot help" in held.why) == ((), True)
    begun = done(proposed(selected(900)).changes[:2])
    inside = proposed(selected(900), groups=writing, while_written=True, spent=450, earlier=begun)
    assert (numbers(inside), inside.held) == ([1], ())


def test_what_an_earlier_process_of_the_run_has_deleted_counts():
    made = done(proposed(selected(900)).changes)
    assert spent_on(made, counted=()) == 1000  # at most: new ones may have gone as well
    assert spent_on(made, counted={made[1].key}) == 500
    assert spent_on(done(proposed(selected(900), door=ETCD).changes), counted=()) == 900


def test_waves_are_bounded():
    most = WAVES["delete-events"]
    waves = proposed(selected((2 * most + 5) * BATCH)).waves
    assert [len(wave) for wave in waves] == [1, most, most, 5]


def test_what_is_left_keeps_the_names_that_were_approved():
    first = proposed(selected(10 * BATCH))
    made = done([*first.waves[0], *first.waves[1][:4]])
    assert numbers(first) == list(range(10, 0, -1))
    assert numbers(proposed(selected(6 * BATCH), earlier=made)) == [6, 5, 4, 3, 2, 1]
    assert numbers(proposed(selected(5 * BATCH), earlier=made)) == [6, 5, 4, 3, 2]  # more was deleted
    grown = proposed(selected(20 * BATCH), earlier=made)  # what came meanwhile is not approved
    assert numbers(grown) == [6, 5, 4, 3, 2, 1]
    assert {one.key for one in grown.changes} <= {one.key for one in first.changes}
    assert grown.changes[0].selection["last"] == "pod-000"


def test_batches_that_were_made_side_by_side_leave_the_numbers_of_the_others_free():
    first = proposed(selected(4 * BATCH), door=ETCD)
    made = done([first.changes[1], first.changes[3]])
    assert numbers(proposed(selected(2 * BATCH), earlier=made, door=ETCD)) == [4, 2]
    again = done(proposed(selected(2 * BATCH), earlier=made, door=ETCD).changes[:1])
    assert numbers(proposed(selected(9 * BATCH), earlier=(*made, *again), door=ETCD)) == [2]


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


def test_without_a_door_nothing_is_planned_and_it_says_what_comes_first():
    closed = Door(way="", reason="NOSPACE is raised", commands=("sretool runbook etcd-nospace",))
    proposal = proposed(selected(900), door=closed)
    (held,) = proposal.held
    assert (proposal.waves, held.refused, held.why) == ((), True, "NOSPACE is raised")
    assert held.commands == ("sretool runbook etcd-nospace",)
    assert proposed(selected(99), door=closed).held == ()  # nothing is due


def test_what_goes_from_etcd_is_told_by_keys_and_revision_and_by_another_name():
    proposal = proposed(selected(900), door=ETCD)
    ((first, second),) = proposal.waves  # exported batch by batch
    assert {one.verb for one in proposal.changes} == {"delete-events-in-etcd"}
    assert (first.risk, second.risk) == (Risk.IRREVERSIBLE, Risk.IRREVERSIBLE)
    told = {name: first.selection[name] for name in ("prefix", "first", "last", "revision", "through")}
    assert told == {
        "prefix": "/registry/events/",
        "first": "at-000",
        "last": "pod-000",
        "revision": 77,
        "through": ["m1", "m2"],
    }
    few, note = proposal.findings
    assert few.sentence == "900 events: no flood"
    assert "in etcd, after an export to /state: the API server is away" in note.sentence


def test_a_door_that_changes_on_the_way_is_not_approved():
    through_api, in_etcd = proposed(selected(900)), proposed(selected(900), door=ETCD)
    assert not {one.key for one in through_api.changes} & {one.key for one in in_etcd.changes}


def test_where_etcd_can_take_over_from_a_slow_api_server_that_is_part_of_what_is_approved():
    slow = Door(way="api", reason="it answers", place=PLACE, through=("m1", "m2"))
    (change, *_) = (one for one in proposed(selected(900), door=slow).changes if one.verb == "delete-events")
    assert change.bounds["doors"] == ["api", "etcd"]
    told = {name: change.selection["otherwise"][name] for name in ("prefix", "revision", "path", "through")}
    assert told == {
        "prefix": "/registry/events/",
        "revision": 77,
        "path": "/state/shop.etcd.jsonl",
        "through": ["m1", "m2"],
    }
    (alone, *_) = (one for one in proposed(selected(900)).changes if one.verb == "delete-events")
    assert (alone.key, alone.selection["otherwise"]) == (change.key, None)
    assert uncovered([alone], [change]) == ()
    assert uncovered([change], [alone]) != ()


def door(**changed):
    values = {
        "has_api": True,
        "probe": 0.02,
        "is_away": True,
        "place": PLACE,
        "has_nospace": False,
        "versions": ["3.6.8"],
        "through": ["m1"],
    }
    return choose_door(**values | changed)


AWAY = Unknown("https://lab: connection refused")


@pytest.mark.parametrize(
    ("way", "words", "changed"),
    [
        (
            "api",
            "a small GET in 20 ms; where it goes away, or a deletion takes it more than 50 ms, the rest in etcd itself",
            {},
        ),
        ("api", "a small GET in 20 ms", {"place": Unknown("encrypted")}),
        ("api", "a small GET in 20 ms", {"has_nospace": True}),
        ("etcd", "connection refused", {"probe": AWAY}),
        ("etcd", "a small GET takes 1.4 s (limit 1 s)", {"probe": 1.4}),
        ("etcd", "keys below /registry/events/ only", {"probe": AWAY}),
        ("", "and not in etcd either: encrypted", {"probe": AWAY, "place": Unknown("encrypted")}),
        ("", "compact, defragment and disarm first", {"has_nospace": True, "versions": ["3.6.8", "3.5.6"]}),
        ("", "compact, defragment", {"has_nospace": True, "versions": ["3.4.19"], "probe": AWAY}),
        ("", "compact, defragment", {"has_nospace": True, "versions": ["odd"], "probe": AWAY}),
        ("etcd", "", {"has_nospace": True, "versions": ["3.4.20", "3.5.7"], "probe": AWAY}),
        ("", "names no kubeconfig", {"has_api": False, "probe": AWAY}),
    ],
)
def test_the_door_follows_from_the_state(way, words, changed):
    chosen = door(**changed)
    assert (chosen.way, words in chosen.reason) == (way, True)


def test_what_only_this_machine_cannot_ask_is_no_reason_to_go_past_the_api_server():
    closed = door(probe=Unknown("the exec plugin login ended with 1", then="log in anew"), is_away=False)
    assert (closed.way, closed.is_unknown) == ("", True)
    assert "the exec plugin login ended with 1 (log in anew)" in closed.reason
    (held,) = proposed(selected(900), door=closed).held
    assert (held.refused, held.commands[0]) == (False, "kubectl get --raw /version")
    assert proposed(selected(900), door=closed).waves == ()


PREFIX, OVERRIDES = "--etcd-prefix=", "--etcd-servers-overrides="


@pytest.mark.parametrize(
    ("expected", "roots", "flags"),
    [
        ("/registry/events/", [b"/registry/"], []),
        ("/registry/events/", [b"/registry/"], [[f"{PREFIX}/registry", "--v=2"]]),
        ("/kubernetes.io/events/", [b"/kubernetes.io/"], []),
        ("/registry/events/", [b"/registry/"], [[f"{OVERRIDES}/events#https://10.0.0.1:2379"]]),
        ("/registry/events/", [b"/registry/"], [[f"{OVERRIDES}/pods#https://10.9.9.9:2379"]]),
        ("no events are seen", [], []),
        ("seen under several prefixes", [b"/registry/", b"/b/"], []),
        ("has --etcd-prefix=/other, but", [b"/registry/"], [[f"{PREFIX}/registry"], [f"{PREFIX}/other"]]),
        ("in another etcd", [b"/registry/"], [[f"{OVERRIDES}/events#https://10.9.9.9:2379"]]),
        (
            "in another etcd",
            [b"/registry/"],
            [[f"{OVERRIDES}/x#https://a:1,/events#https://b:1;https://c:1"]],
        ),
    ],
)
def test_the_place_of_the_events_is_certain_or_unknown_with_the_reason(expected, roots, flags):
    found = place_of(roots, flags, clients=["https://10.0.0.1:2379"])
    told = found.reason if isinstance(found, Unknown) else found.prefix
    assert expected in told
    assert isinstance(found, Unknown) is not expected.startswith("/")


@pytest.mark.parametrize(
    ("expected", "access"),
    [
        ("the keys seen in etcd", {}),
        ("the cluster file", {"etcd_prefix": "/registry"}),
        ("the cluster file has --etcd-prefix=/other, but", {"etcd_prefix": "/other"}),
        ("in another etcd", {"etcd_overrides": "/events#https://10.9.9.9:2379"}),
    ],
)
def test_what_discovery_remembered_of_the_api_servers_counts_as_their_flags(expected, access):
    remembered = KubernetesAccess(kubeconfig="in-cluster", **access).flags
    found = place_of([b"/registry/"], [], clients=["https://10.0.0.1:2379"], remembered=remembered)
    assert expected in (found.reason if isinstance(found, Unknown) else found.known_from)


@pytest.mark.parametrize(
    ("waves", "chosen"), [(0, selected(99)), (0, selected(900, overdue=99)), (2, selected(100))]
)
def test_few_events_are_left_to_expire(waves, chosen):
    assert len(proposed(chosen).waves) == waves


def test_what_was_begun_is_ended_although_little_is_left():
    made = done(proposed(selected(900)).changes[:2])
    assert numbers(proposed(selected(40, overdue=0), earlier=made)) == [1]


def test_a_flood_names_its_writer_with_numbers():
    (finding,) = proposed(named=False, flood=900).findings
    assert finding.verdict == "event-flood"
    who = "900 of them are FailedScheduling in shop, by default-scheduler about Pod web-*"
    assert who in finding.sentence
    (few,) = proposed(named=False, flood=901).findings
    assert (few.verdict, few.sentence) == ("", "900 events: no flood")


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
    older_than = given.pop("older_than", 0.0)
    values = {"reasons": (), "most": 10_000, "is_named": False, "each": older_than > 0}
    found = Survey(Times.of(NOW, older_than=older_than, show=text_of), **values | given)
    found.add([msgspec.convert(one, Event) for one in events])
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


@pytest.mark.parametrize(
    "changed",
    [
        {"lastTimestamp": "2026-03-01T11:59:58Z"},
        {"series": {"lastObservedTime": "2026-03-01T11:59:58.123456Z"}},
    ],
)
def test_a_source_that_repeats_itself_is_still_writing(changed):
    (group,) = survey(*(event(f"e{one}", **changed) for one in range(5))).groups()
    assert (group.just_now, group.per_minute, group.is_written) == (5, 5, True)


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
    assert (few.objects, few.beyond, few.overdue) == (500, 700, 1200)
    (none,) = survey(*events, reasons=("BackOff",), is_named=True, most=0).selected(tmp_path, stamp="now")
    assert (none.objects, none.batches, none.beyond) == (0, (), 1200)


# -- what goes in one transaction ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("runs", "indexes"),
    [([[4]], [4]), ([[0, 1, 2]], [0, 1, 2]), ([[0], [2, 3], [7]], [0, 2, 3, 7])],
)
def test_neighbours_are_one_run(runs, indexes):
    assert runs_of(indexes) == runs


@pytest.mark.parametrize(
    ("taken", "indexes", "size"),
    [
        (250, range(1000), 250),
        (30, range(30), 250),
        (100, range(0, 1000, 2), 250),  # etcd takes 128 operations in one transaction
        (200, [index for index in range(1000) if index % 3], 250),
    ],
)
def test_a_transaction_holds_so_many_keys_in_few_enough_runs(taken, indexes, size):
    first, rest = first_runs(indexes, size=size)
    assert (len(first), [*first, *rest]) == (taken, list(indexes))
    assert len(runs_of(first)) <= 100
