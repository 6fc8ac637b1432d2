"""What two pages of an API server's metrics mean, and which cause is named for which sight."""

import msgspec
import pytest

from sretool.clients.metrics import parse_metrics
from sretool.knowledge.control_plane import ControlPlane, ServerView, pressure_of
from sretool.knowledge.control_plane_findings import control_plane_findings
from sretool.knowledge.control_plane_leases import date_by_window
from sretool.model import ControlPlaneLease, Severity, Unknown

URL = "https://10.0.0.1:6443"
LEASES = (
    ControlPlaneLease(name="apiserver-abc", mod_revision=1, age_seconds=3.0, holder="apiserver-abc_1"),
    ControlPlaneLease(name="kube-controller-manager", mod_revision=2, age_seconds=1.0, holder="node_1"),
    ControlPlaneLease(name="kube-scheduler", mod_revision=3, age_seconds=1.0, holder="node_2"),
)
STALE = tuple(msgspec.structs.replace(one, age_seconds=60.0) for one in LEASES)
SILENT = Unknown("no answer")


UNDATED = tuple(msgspec.structs.replace(one, age_seconds=SILENT) for one in LEASES)


def page(rejected=0, fetched=0, waiting=0, executing=0, timed_out=0, watches=3, limit=10):
    return parse_metrics(
        f"""process_start_time_seconds 1
apiserver_current_inflight_requests{{request_kind="readOnly"}} 4
apiserver_current_inflight_requests{{request_kind="mutating"}} 2
apiserver_flowcontrol_nominal_limit_seats{{priority_level="workload-low"}} 10
apiserver_flowcontrol_current_limit_seats{{priority_level="workload-low"}} {limit}
apiserver_flowcontrol_current_executing_seats{{flow_schema="service-accounts",priority_level="workload-low"}} {executing}
apiserver_flowcontrol_current_inqueue_requests{{flow_schema="service-accounts",priority_level="workload-low"}} {waiting}
apiserver_flowcontrol_rejected_requests_total{{flow_schema="service-accounts",priority_level="workload-low",reason="queue-full"}} {rejected}
apiserver_flowcontrol_dispatched_requests_total{{flow_schema="service-accounts",priority_level="workload-low"}} {fetched + 50}
apiserver_longrunning_requests{{resource="pods",scope="cluster",verb="WATCH"}} {watches}
apiserver_longrunning_requests{{resource="pods",scope="namespace",verb="WATCH"}} 2
apiserver_storage_list_total{{group="",resource="pods"}} {fetched}
apiserver_storage_list_fetched_objects_total{{group="",resource="pods"}} {fetched * 1000}
apiserver_request_total{{code="200",resource="pods",verb="LIST"}} 100
apiserver_request_total{{code="504",resource="pods",verb="LIST"}} {timed_out}
"""
    )


def server(state="ready", *, later=None, **changed):
    values = {
        "url": URL,
        "state": state,
        "get_seconds": 0.003,
        "pressure": pressure_of(later or page(), page(), seconds=10.0),
        "certificate_days": 300.0,
    }
    return ServerView(**values | changed)


def plane(*servers, **changed):
    values = {
        "servers": servers or (server(),),
        "leases": LEASES,
        "client_certificate_days": 300.0,
        "nospace": False,
    }
    return ControlPlane(**values | changed)


def down(state="down"):
    return server(
        state, why="connection refused", get_seconds=SILENT, pressure=SILENT, certificate_days=SILENT
    )


def test_rates_are_of_the_window_and_sorted_by_resource_and_by_class_of_clients():
    pressure = pressure_of(page(fetched=500, timed_out=20, watches=7), page(), seconds=10.0)
    assert (pressure.reading, pressure.mutating) == (4, 2)
    assert [(one.name, one.amount) for one in pressure.fetched] == [("pods", 50_000)]
    assert [(one.name, one.amount) for one in pressure.lists] == [("pods", 50)]
    assert [(one.name, one.amount) for one in pressure.watches] == [("pods", 9)]
    assert [(one.name, one.amount) for one in pressure.clients] == [("service-accounts", 50)]
    assert [(one.name, one.amount) for one in pressure.failed] == [("pods (504)", 2)]


CAUSES = {
    "well": (plane(), set()),
    "down": (plane(down(), leases=STALE), {"api-down"}),
    "silent": (plane(server("silent", get_seconds=SILENT, pressure=SILENT), leases=STALE), {"api-silent"}),
    "not ready": (plane(server("not-ready", failing=("etcd",))), {"api-not-ready"}),
    "slow": (plane(server(get_seconds=1.2)), {"api-slow"}),
    "small reads unanswered": (plane(server(get_seconds=SILENT)), {"api-slow"}),
    "refuses requests": (plane(server(later=page(rejected=3))), {"api-overloaded"}),
    "requests wait, seats full": (plane(server(later=page(waiting=4, executing=10))), {"api-overloaded"}),
    "requests wait, seats lent away": (
        plane(server(later=page(waiting=4, executing=3, limit=3))),
        {"api-overloaded"},
    ),
    "requests wait, more seats borrowed": (
        plane(server(later=page(waiting=4, executing=12, limit=20))),
        set(),
    ),
    "requests wait a moment": (plane(server(later=page(waiting=4, executing=9))), set()),
    "lists": (plane(server(later=page(fetched=500))), {"list-pressure"}),
    "watches": (plane(server(later=page(watches=30_000))), {"watch-pressure"}),
    "controllers stand still": (plane(leases=(LEASES[0], STALE[1])), {"lease-stale"}),
    "an API server ended": (plane(leases=(STALE[0], LEASES[1])), {"api-server-gone"}),
    "one of two is down": (plane(server(), down()), {"api-down"}),
    "no way to the only one": (plane(down(state="unreachable"), leases=STALE), {"api-down"}),
    "certificates": (plane(server(certificate_days=2.0)), {"certificate-expiring"}),
    "our certificate": (plane(client_certificate_days=-1.0), {"certificate-expiring"}),
}


@pytest.mark.parametrize("case", CAUSES)
def test_each_sight_has_its_cause_and_no_other(case):
    seen, expected = CAUSES[case]
    found = control_plane_findings(seen)
    above = {one.verdict for one in found if one.is_cause}
    own = {one.verdict for one in found if one.is_cause and one.follows_from not in above}
    assert own == expected
    assert ("control-plane-well" in {one.verdict for one in found}) == (not expected)


def test_under_nospace_stale_leases_follow_from_it():
    stale = [
        one for one in control_plane_findings(plane(leases=STALE, nospace=True)) if "lease" in one.sentence
    ]
    assert {one.follows_from for one in stale if one.is_cause} == {"nospace"}


@pytest.mark.parametrize(
    "seen",
    [
        plane(server("refused", why="not allowed", pressure=SILENT)),
        plane(server(pressure=SILENT)),
        plane(leases=SILENT),
        plane(leases=()),
        plane(leases=LEASES[:2]),
        plane(leases=(LEASES[0], LEASES[2])),
        plane(leases=UNDATED),
        plane(server(), down("unreachable")),
        plane(server(certificate_days=SILENT)),
        plane(server(get_seconds=SILENT, refuses_reads=True)),
        plane(unread_servers="not allowed"),
    ],
)
def test_what_may_not_be_read_is_cannot_tell_and_never_well(seen):
    found = control_plane_findings(seen)
    assert any(one.blind for one in found)
    assert not any(one.severity is Severity.OK for one in found)
    assert not any(one.severity is Severity.CRITICAL for one in found)


def test_a_lease_without_an_age_is_not_counted_as_renewed():
    assert "0 of 3 control-plane leases renewed" in control_plane_findings(plane(leases=UNDATED))[-1].sentence


def aged(revision, *ages):
    return tuple(
        msgspec.structs.replace(one, mod_revision=revision, age_seconds=age)
        for one, age in zip(LEASES[:2], ages, strict=True)
    )


def ages(before, after):
    return [one.age_seconds for one in date_by_window(before, after, seconds=5.0)]


def test_a_lease_renewed_between_two_looks_is_renewed_whatever_the_clocks_say():
    assert ages(aged(1, 60.0, 60.0), aged(2, 62.0, 1.0)) == [5.0, 1.0]
    assert ages(aged(1, SILENT, 60.0), aged(2, SILENT, 62.0)) == [5.0, 5.0]


def test_a_lease_that_nobody_renewed_keeps_its_age_unless_it_cannot_be_that_young():
    assert ages(aged(1, 55.0, 4.0), aged(1, 60.0, 9.0)) == [60.0, 9.0]
    behind, right = ages(aged(1, 0.0, 4.0), aged(1, 0.0, 9.0))
    assert isinstance(behind, Unknown)
    assert "clock" in behind.reason
    assert right == 9.0


def test_where_a_clock_that_is_behind_shows_in_one_lease_the_age_of_the_others_is_not_known():
    after = (aged(1, 60.0, 60.0)[0], aged(2, 60.0, 60.0)[1])
    gone, renewed = ages(aged(1, 55.0, 55.0), after)
    assert isinstance(gone, Unknown)
    assert renewed == 5.0


def test_leases_that_could_not_be_read_twice_are_what_the_second_look_says():
    assert date_by_window(SILENT, LEASES, seconds=5.0) == LEASES
    assert date_by_window(LEASES, SILENT, seconds=5.0) == SILENT


def test_a_certificate_with_hours_left_says_hours():
    found = control_plane_findings(plane(client_certificate_days=0.25))
    assert "our client certificate expires in 6 hours" in found[0].sentence


def test_who_presses_is_named():
    (finding, _) = control_plane_findings(plane(server(later=page(rejected=3, fetched=500))))[:2]
    assert finding.verdict == "api-overloaded"
    assert "service-accounts" in finding.sentence
    assert "workload-low" in finding.sentence
