"""What makes an etcd cluster healthy, as tables over one healthy cluster and what is changed in it."""

import pytest

from sretool.knowledge.health import ClusterHealth, MemberRow, disagreement_of, lags_of
from sretool.knowledge.health_findings import findings_of, health_summary, is_healthy
from sretool.model import EndpointStatus, Member, MemberList, Severity, Silence, Unknown

MIB = 1 << 20
NAMES = ("a", "b", "c")
UNREAD = Unknown("not read")


def status(member_id, **changed):
    usual = {
        "cluster_id": 9,
        "member_id": member_id,
        "revision": 100,
        "raft_term": 3,
        "version": "3.6.16",
        "db_size_bytes": 100 * MIB,
        "db_size_in_use_bytes": 90 * MIB,
        "leader": 1,
        "raft_index": 500,
        "raft_applied_index": 500,
    }
    return EndpointStatus(**(usual | changed))


def row(name, **changed):
    usual = {
        "name": name,
        "endpoint": f"https://{name}:2379",
        "peer_url": f"https://{name}:2380",
        "status": status(NAMES.index(name) + 1),
        "quota_bytes": 2048 * MIB,
        "lag": 0,
    }
    return MemberRow(**(usual | changed))


def silent(name, silence=Silence.DEAD):
    return row(
        name,
        status=UNREAD,
        quota_bytes=UNREAD,
        lag=UNREAD,
        metrics_unread=UNREAD,
        silence=silence,
        why_silent="so",
    )


def members(*, learners=(), unstarted=(), without=(), renamed=None, stale=False):
    return MemberList(
        stale=stale,
        members=tuple(
            Member(
                id=number,
                name="" if name in unstarted else (renamed or {}).get(name, name),
                peer_urls=(f"https://{name}:2380",),
                client_urls=(),
                is_learner=name in learners,
            )
            for number, name in enumerate(NAMES, start=1)
            if name not in without
        ),
    )


def health(*rows, **changed):
    given = {one.name: one for one in rows}
    usual = {
        "rows": tuple(given.get(name) or row(name) for name in NAMES),
        "member_list": members(),
        "disagreement": "",
        "is_kubernetes": True,
        "compaction_stalled": False,
    }
    return ClusterHealth(**(usual | changed))


def verdicts(found):
    return {(one.verdict, one.subject, one.severity) for one in found if one.verdict}


def test_a_healthy_cluster_has_no_findings_at_all():
    assert findings_of(health()) == ()
    assert is_healthy(health()) is True


CRITICAL, WARNING = Severity.CRITICAL, Severity.WARNING


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        (health(silent("b")), {("member-dead", "b", CRITICAL)}),
        (health(silent("b", Silence.FROZEN)), {("member-frozen", "b", CRITICAL)}),
        (health(silent("b", Silence.DEFRAGMENTING)), {("member-defragmenting", "b", WARNING)}),
        (health(silent("b", Silence.TLS)), {("member-tls", "b", CRITICAL)}),
        (
            health(silent("b"), silent("c", Silence.FROZEN)),
            {("quorum-lost", "", CRITICAL), ("member-dead", "b", CRITICAL), ("member-frozen", "c", CRITICAL)},
        ),
        (
            # Two that only we cannot reach, and the third follows a leader: there is a quorum.
            health(silent("a", Silence.UNREACHABLE), silent("b", Silence.UNREACHABLE)),
            {("member-unreachable", "a", CRITICAL), ("member-unreachable", "b", CRITICAL)},
        ),
        (
            health(
                silent("a", Silence.UNREACHABLE),
                silent("b", Silence.UNREACHABLE),
                row("c", status=status(3, leader=0)),
            ),
            {
                ("quorum-lost", "", CRITICAL),
                ("member-unreachable", "a", CRITICAL),
                ("member-unreachable", "b", CRITICAL),
            },
        ),
        (
            health(*(row(name, status=status(i + 1, leader=0)) for i, name in enumerate(NAMES))),
            {("no-leader", "", CRITICAL)},
        ),
        (health(disagreement="raft term 3 (a), 4 (b)"), {("disagreement", "", CRITICAL)}),
        (health(row("b", lag=101)), {("member-lagging", "b", WARNING)}),
        (health(row("b", lag=5001)), {("member-lagging", "b", CRITICAL)}),
        (health(row("b", lag=100)), set()),
        (health(row("b", quota_bytes=150 * MIB)), set()),
        (health(*(row(name, quota_bytes=130 * MIB) for name in NAMES)), {("db-large", "", WARNING)}),
        (health(*(row(name, quota_bytes=115 * MIB) for name in NAMES)), {("db-large", "", CRITICAL)}),
        (health(row("b", quota_bytes=115 * MIB)), {("quota-differs", "b", CRITICAL)}),
        (health(member_list=members(unstarted=("c",))), {("member-unstarted", "3", WARNING)}),
        (health(member_list=members(learners=("c",))), set()),
        (
            health(row("c", peer_url="https://other:2380", status=status(7))),
            {("inventory-differs", "", WARNING)},
        ),
        (
            health(row("a", status=status(2)), row("b", status=status(1, leader=1))),
            {("inventory-differs", "", WARNING)},
        ),
        (health(row("b", peer_url="https://wrong:2380")), {("inventory-differs", "", WARNING)}),
        (
            health(silent("b"), member_list=members(renamed={"a": "b", "b": "a"})),
            {("inventory-differs", "", WARNING), ("member-dead", "b", CRITICAL)},
        ),
        (health(silent("c"), member_list=members(without=("c",))), {("inventory-differs", "", WARNING)}),
        (
            # One member's own list may be an old one: who is not in it may be a voter.
            health(silent("c"), member_list=members(without=("c",), stale=True)),
            {("inventory-differs", "", WARNING), ("member-dead", "c", CRITICAL)},
        ),
        (health(compaction_stalled=True), {("compaction-stalled", "", WARNING)}),
        (health(certificate_days=(("a's", 13.0), ("b's", 15.0))), {("certificate-expiry", "a's", WARNING)}),
        (health(certificate_days=(("a's", -1.0),)), {("certificate-expiry", "a's", CRITICAL)}),
        (health(row("b", status=status(2, version="3.4.45"))), {("version-skew", "", WARNING)}),
    ],
)
def test_what_is_wrong_is_named_and_nothing_else(cluster, expected):
    found = findings_of(cluster)
    assert verdicts(found) == expected
    if expected:
        assert is_healthy(cluster) is False


def test_a_healthy_cluster_is_said_to_be_one_with_what_was_seen():
    told = health_summary(health(row("b", status=status(2, db_size_bytes=512 * MIB))))
    assert told.severity is Severity.OK
    assert told.sentence == "3 of 3 members answer, led by a; the fullest, b, has 512.0 MiB, 25% of its quota"


def test_the_margin_that_is_left_is_told():
    (dead,) = [one for one in findings_of(health(silent("b"))) if one.verdict]
    assert "one more failure stops etcd" in dead.sentence


def test_what_a_silent_member_hides_makes_the_look_blind():
    assert [one.blind for one in findings_of(health(silent("b")))] == [False, True]


def test_nothing_is_missing_of_a_silent_one_that_etcd_does_not_list():
    found = findings_of(health(silent("c"), member_list=members(without=("c",))))
    assert ["inventory-differs"] == [one.verdict for one in found]
    assert "the inventory has c (https://c:2380), which the cluster does not list" in found[0].sentence


def test_a_dead_member_is_called_what_etcd_calls_it_where_the_inventory_calls_another_so():
    found = findings_of(health(silent("b"), member_list=members(renamed={"a": "b", "b": "a"})))
    (dead,) = (one for one in found if one.verdict == "member-dead")
    assert dead.sentence.startswith("b, which is a in etcd, is dead")
    own_names = members(renamed={name: f"etcd-{name}" for name in NAMES})
    (dead,) = (one for one in findings_of(health(silent("b"), member_list=own_names)) if one.verdict)
    assert dead.sentence.startswith("b is dead")


def test_why_metrics_were_not_read_is_told_and_what_to_do_about_it():
    why = Unknown(
        "the metrics at http://b:2381/metrics are those of member 1", then="correct the cluster file"
    )
    (told,) = findings_of(health(row("b", metrics_unread=why, quota_bytes=UNREAD)))
    assert told.sentence == f"the metrics of b could not be read: {why.reason}"
    assert (told.blind, told.then) == (True, "correct the cluster file")


def test_without_a_quorum_nothing_is_blind_because_that_is_the_answer():
    found = findings_of(health(silent("b"), silent("c"), member_list=UNREAD))
    assert not any(one.blind for one in found)


@pytest.mark.parametrize(
    "cluster",
    [
        health(row("b", metrics_unread=UNREAD, quota_bytes=UNREAD)),
        health(row("b", quota_bytes=UNREAD)),
        health(member_list=UNREAD),
        health(compaction_stalled=UNREAD),
    ],
)
def test_what_could_not_be_read_is_never_healthy(cluster):
    assert isinstance(is_healthy(cluster), Unknown)
    assert all(one.blind for one in findings_of(cluster))


def test_an_error_in_status_is_not_healthy_whatever_it_is():
    assert is_healthy(health(row("b", status=status(2, errors=("memberID:2 alarm:NOSPACE ",))))) is False


def test_fragmentation_is_a_note():
    free = status(2, db_size_bytes=900 * MIB, db_size_in_use_bytes=200 * MIB)
    (note,) = findings_of(health(row("b", status=free)))
    assert (note.severity, note.verdict) == (Severity.NOTE, "")
    assert is_healthy(health(row("b", status=free))) is True


def test_security_notices_are_notes_for_the_releases_before_the_fix():
    old = health(*(row(name, status=status(i + 1, version="3.6.8")) for i, name in enumerate(NAMES)))
    (note,) = findings_of(old)
    assert "CVE-2026-33413" in note.sentence and "GHSA-6vch" in note.sentence
    assert note.severity is Severity.NOTE


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"cluster_id": 8}, "cluster id"),
        ({"leader": 2}, "leader"),
        ({"raft_term": 4}, "raft term"),
        ({"revision": 1}, ""),
    ],
)
def test_members_disagree_about_cluster_leader_or_term_but_not_about_a_revision(changed, what):
    told = disagreement_of({"a": status(1), "b": status(2, **changed)})
    assert told.startswith(what) and bool(told) == bool(what)


def test_lag_is_counted_from_the_leader():
    statuses = {"a": status(1, raft_index=510), "b": status(2, raft_applied_index=480)}
    assert lags_of(statuses) == {"a": 10, "b": 30}
    assert lags_of({"b": statuses["b"]}) == {}


def test_the_leader_is_named_even_when_it_is_silent():
    assert health(silent("a")).leader == "a"
    assert isinstance(
        health(*(row(n, status=status(i, leader=0)) for i, n in enumerate(NAMES))).leader, Unknown
    )
