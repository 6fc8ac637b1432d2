"""Each pattern of a sample gives its cause, and no other; what cannot be told is not told."""

import msgspec
import pytest

from sretool.knowledge.verdicts import diagnose, judge_each
from sretool.model import Severity, Silence, Unknown
from sretool.model.latency import LatencySample
from tests.support.latency_samples import (
    FAST,
    SLOW,
    histogram,
    member,
    probes,
    sample,
    silent,
    status,
)

SLOW_DISK = {"fsync": histogram(*[0.1] * 40), "commit": histogram(*[0.2] * 20)}
WAITS = {"linearizable": probes(*SLOW)}
LOSES = {"linearizable": probes(0.002, -1.2, 0.4, 0.002, -1.2, 0.9)}
CHURN = {"increases": {"server_leader_changes_seen_total": 1.0}}
LOADED = {"serializable": probes(*SLOW), "linearizable": probes(*SLOW)}
FLOOD = {
    "increases": {"mvcc_put_total": 30_000.0},
    "gauges": {"server_proposals_pending": 400.0},
    "first_gauges": {"server_proposals_pending": 300.0},
}
BUSY = {"process_cpu_seconds_total": 19.0}
NEVER = {"linearizable": probes(-1.2, -1.2, -1.2)}
WRITES = {"increases": {"server_proposals_applied_total": 10.0}}
HUNG = {"fsync": histogram(), "commit": histogram(), **NEVER}
LEADS = {"first_gauges": {"server_is_leader": 1.0}}
FAILS = {"increases": {"server_proposals_failed_total": 4.0}}
FAR = histogram(0.4)
NEAR = histogram(0.002)

CAUSES = {
    "nothing is slow": ([], ()),
    "a follower's disk": (
        [member("m2", **SLOW_DISK, **LOADED)],
        ("disk-slow-minority",),
    ),
    "the leader's disk makes every linearizable read slow": (
        [member("m1", **SLOW_DISK, **LOADED), member("m2", **WAITS), member("m3", **WAITS)],
        ("disk-slow-leader",),
    ),
    "the leader's disk and a follower's are a majority": (
        [member("m1", **SLOW_DISK, **LOADED), member("m2", **SLOW_DISK, **LOADED), member("m3", **WAITS)],
        ("disk-slow-majority",),
    ),
    "both followers' disks are a majority": (
        [member("m1", **WAITS), member("m2", **SLOW_DISK), member("m3", **SLOW_DISK)],
        ("disk-slow-majority",),
    ),
    "a very slow disk makes few samples, and their median tells": (
        [member("m2", fsync=histogram(0.9, 0.9, 0.9, 0.9), **LOADED)],
        ("disk-slow-minority",),
    ),
    "backend commits alone tell of a slow disk": (
        [member("m2", commit=histogram(*[0.4] * 30))],
        ("disk-slow-minority",),
    ),
    "no fsync returns on a follower while others apply": (
        [member("m1", **WRITES), member("m2", **HUNG), member("m3", **WRITES)],
        ("disk-slow-minority",),
    ),
    "a leader whose disk hangs calls itself leader beside the one elected after it": (
        [
            member("m1", **HUNG, **LEADS, **FAILS),
            member("m2", leader="m3", **WRITES),
            member("m3", leader="m3", **WRITES),
        ],
        ("disk-slow-minority",),
    ),
    "two fsyncs that take half of the window": (
        [member("m2", fsync=histogram(3.0, 3.0), **LOADED)],
        ("disk-slow-minority",),
    ),
    "nothing is written while a snapshot is received": (
        [
            member("m1", **WRITES),
            member("m2", **HUNG, gauges={"network_snapshot_receive_inflights_total": 1.0}),
        ],
        ("maintenance",),
    ),
    "one slow fsync is a hiccup": ([member("m2", fsync=histogram(0.2, *[0.001] * 50))], ()),
    "a disk between 10 and 64 ms is noted, not blamed": (
        [member("m2", fsync=histogram(*[0.02] * 50))],
        (),
    ),
    "a slow disk causes the election too": (
        [member("m1", **SLOW_DISK, **LOADED), member("m2", **WAITS, **CHURN), member("m3", **WAITS)],
        ("disk-slow-leader",),
    ),
    "a follower loses packets": ([member("m2", **LOSES)], ("network-node",)),
    "a follower is far away": ([member("m3", **WAITS)], ("network-node",)),
    "the leader loses packets": (
        [member("m1", **LOSES), member("m2", **LOSES), member("m3", **LOSES)],
        ("network-node",),
    ),
    "the leader's losses are seen by its followers only": (
        [member("m2", **LOSES), member("m3", **LOSES)],
        ("network-node",),
    ),
    "only the path between leader and follower is slow": (
        [
            member("m1", rtt={"m2": histogram(0.3), "m3": histogram(0.001)}),
            member("m2", rtt={"m1": histogram(0.3), "m3": histogram(0.001)}, **WAITS),
        ],
        ("network-pair",),
    ),
    "with one member dead leader and follower cannot be told apart": (
        [silent("m3", Silence.DEAD), member("m1", **WAITS), member("m2", **WAITS)],
        ("member-dead", "network-pair"),
    ),
    "a slow round trip between followers harms nobody": ([member("m2", rtt={"m3": histogram(0.4)})], ()),
    "a slow follower at the end of a good round trip is not its network's": (
        [member("m2", **WAITS, rtt={"m1": NEAR})],
        (),
    ),
    "a slow leader is not its network's when its round trips are good": (
        [
            member("m1", **WAITS, rtt={"m2": NEAR, "m3": NEAR}),
            member("m2", **WAITS),
            member("m3", **WAITS),
        ],
        (),
    ),
    "one good round trip of two does not clear the leader": (
        [
            member("m1", **WAITS, rtt={"m2": NEAR, "m3": FAR}),
            member("m2", **WAITS),
            member("m3", **WAITS),
        ],
        ("network-node",),
    ),
    "an election that nothing explains": ([member("m2", **CHURN)], ("leader-churn",)),
    "a dead member": ([silent("m3", Silence.DEAD)], ("member-dead",)),
    "a frozen leader, and the election after it": (
        [
            silent("m1", Silence.FROZEN),
            member("m2", last_leader="m2", linearizable=probes(-1.2, -0.9, *FAST[:5]), **CHURN),
            member("m3", last_leader="m2", linearizable=probes(-1.2, -0.9, *FAST[:5]), **CHURN),
        ],
        ("member-frozen",),
    ),
    "two of three dead": (
        [
            silent("m2", Silence.DEAD),
            silent("m3", Silence.FROZEN),
            member("m1", linearizable=probes(-1.2, -1.2, -1.2)),
        ],
        ("quorum-lost", "member-dead", "member-frozen"),
    ),
    "no leader although all answer": (
        [
            member(
                name,
                leader="",
                linearizable=probes(-1.2, -1.2),
                gauges={"server_has_leader": 0.0},
                first_gauges={"server_has_leader": 0.0},
            )
            for name in ("m1", "m2", "m3")
        ],
        ("no-leader",),
    ),
    "a defragmentation makes its member slow": (
        [member("m2", gauges={"disk_defrag_inflight": 1.0}, **LOADED)],
        ("maintenance",),
    ),
    "a compaction is no cause, nor its long commits": (
        [
            member(
                "m2",
                commit=histogram(*[0.4] * 30),
                increases={"debugging_mvcc_db_compaction_pause_duration_milliseconds_count": 40.0},
            )
        ],
        (),
    ),
    "a member short of CPU": ([member("m2", increases=BUSY, **LOADED)], ("cpu-starved",)),
    "a busy member that answers well is left alone": ([member("m2", increases=BUSY)], ()),
    "large reads": (
        [
            member(
                "m2",
                increases=BUSY | {"network_client_grpc_sent_bytes_total": 9e8, "mvcc_range_total": 400.0},
                **LOADED,
            )
        ],
        ("list-storm",),
    ),
    "large reads slow the linearizable ones first": (
        [
            member(
                "m2",
                increases={"network_client_grpc_sent_bytes_total": 9e8, "mvcc_range_total": 400.0},
                **WAITS,
            )
        ],
        ("list-storm",),
    ),
    "large reads that harm nobody": (
        [member("m2", increases={"network_client_grpc_sent_bytes_total": 9e8, "mvcc_range_total": 400.0})],
        (),
    ),
    "a snapshot being read is no storm": (
        [
            member(
                "m2",
                increases=BUSY | {"network_client_grpc_sent_bytes_total": 9e8, "mvcc_range_total": 400.0},
                gauges={"snapshot_streams": 1.0},
            )
        ],
        (),
    ),
    "more writes than the leader keeps up with": ([member("m1", **FLOOD)], ("write-storm",)),
    "many writes that harm nobody": ([member("m1", increases={"mvcc_put_total": 30_000.0})], ()),
    "a queue of writes makes every linearizable read slow": (
        [member("m1", **FLOOD, **WAITS), member("m2", **WAITS), member("m3", **WAITS)],
        ("write-storm",),
    ),
    "writes that fail are the network's": (
        [
            member("m1", **FLOOD, **WAITS),
            member("m2", **WAITS, increases={"server_proposals_failed_total": 9.0}),
            member("m3", **WAITS),
        ],
        ("network-node",),
    ),
    "writes that wait for a far leader are the network's": (
        [
            member("m1", **FLOOD, **WAITS, rtt={"m2": histogram(0.4)}),
            member("m2", **WAITS),
            member("m3", **WAITS),
        ],
        ("network-node",),
    ),
    "watchers that cannot follow": (
        [
            member(
                "m3",
                gauges={
                    "debugging_mvcc_slow_watcher_total": 30.0,
                    "debugging_mvcc_pending_events_total": 900.0,
                },
                first_gauges={
                    "debugging_mvcc_slow_watcher_total": 20.0,
                    "debugging_mvcc_pending_events_total": 100.0,
                },
            )
        ],
        ("watch-leak-etcd",),
    ),
    "a member slow by itself": ([member("m2", **LOADED)], ("member-slow",)),
    "a database near its quota": (
        [member("m2", status=status("m2", size=90), gauges={"server_quota_backend_bytes": 100.0})],
        ("db-large",),
    ),
    "a quota smaller than the others'": (
        [
            member("m2", status=status("m2", size=90), gauges={"server_quota_backend_bytes": 100.0}),
            member("m3", status=status("m3", size=90), gauges={"server_quota_backend_bytes": 1000.0}),
        ],
        ("quota-differs",),
    ),
}


@pytest.mark.parametrize(("members", "causes"), CAUSES.values(), ids=CAUSES.keys())
def test_a_pattern_gives_its_causes_and_no_other(members, causes):
    assert causes == diagnose(sample(*members)).causes


def alone(**changes):
    """Return the sample of an etcd of one member."""
    return LatencySample(window_seconds=10.0, members=(member("m1", **changes),))


@pytest.mark.parametrize(
    ("changes", "causes", "disk_slow"),
    [
        ({**HUNG, **LEADS, **FAILS}, ("disk-slow-majority",), True),
        (
            {
                **HUNG,
                "gauges": {"server_proposals_pending": 1.0},
                "first_gauges": {"server_is_leader": 1.0, "server_proposals_pending": 1.0},
            },
            ("disk-slow-majority",),
            True,
        ),
        (
            {"fsync": histogram(3.0, 3.0), "serializable": probes(0.002, -1.2), **NEVER},
            ("disk-slow-majority",),
            True,
        ),
        ({**HUNG, **LEADS}, (), None),
        (WAITS, (), False),
    ],
    ids=["its proposals fail", "one is pending", "it falls silent", "nobody writes", "only reads are slow"],
)
def test_a_lone_member_has_no_network_to_blame_and_is_no_lost_quorum(changes, causes, disk_slow):
    diagnosis = diagnose(alone(**changes))
    assert causes == diagnosis.causes
    told = diagnosis.leader_disk_slow
    assert disk_slow is (None if isinstance(told, Unknown) else told)
    assert bool(causes) != any(one.verdict == "cannot-tell" for one in diagnosis.findings)


def test_a_disk_that_does_not_return_is_said_to_be_that():
    hung = finding("disk-slow-minority", member("m1", **WRITES), member("m2", **HUNG))
    assert hung.sentence.startswith("the disk of m2 does not return from fsync")
    assert hung.severity is Severity.CRITICAL
    assert "none applied in the window" in hung.evidence[1].value


def test_a_member_that_missed_one_commit_cannot_be_told():
    once = member("m1", increases={"server_proposals_applied_total": 1.0})
    diagnosis = diagnose(sample(once, member("m2", **HUNG)))
    assert diagnosis.causes == ()
    assert [(one.verdict, one.subject) for one in diagnosis.findings if one.blind] == [("cannot-tell", "m2")]


@pytest.mark.parametrize(
    "quiet",
    [
        {"serializable": probes(0.002, -1.2)},
        {
            "status": Unknown("no answer in 1.2 s"),
            "silence": Silence.SLOW,
            "serializable": (),
            "linearizable": (),
        },
    ],
    ids=["fell silent", "never answered Status"],
)
def test_what_a_slow_disk_leaves_unanswered_is_told_from_the_metrics(quiet):
    diagnosis = diagnose(sample(member("m2", fsync=histogram(4.0, 4.0), **quiet)))
    assert diagnosis.causes == ("disk-slow-minority",)
    assert diagnosis.slow_disk_members == ("m2",)
    assert not any(one.blind for one in diagnosis.findings)
    assert "requests to m2 get no answer in time" in diagnosis.findings[0].follows


@pytest.mark.parametrize(
    "quiet",
    [
        member("m1", serializable=probes(0.002, -1.2), window=Unknown("no answer"), **NEVER),
        member("m1", status=Unknown("no answer"), silence=Silence.TLS, serializable=(), linearizable=()),
        silent("m1", Silence.SLOW),
    ],
    ids=["silent in the window", "its metrics know a leader", "slow"],
)
def test_a_quorum_is_not_lost_with_a_member_that_is_only_slow(quiet):
    lone = LatencySample(window_seconds=10.0, members=(quiet,))
    assert not any(one.verdict == "quorum-lost" for one in diagnose(lone).findings)
    assert any(one.blind for one in diagnose(lone).findings)


def test_the_members_that_a_quorum_lacks_are_those_that_are_gone_each_with_its_reason():
    fell = member("m1", serializable=probes(-1.2), window=Unknown("no answer"), **NEVER)
    lost = finding("quorum-lost", silent("m2", Silence.DEAD), silent("m3", Silence.FROZEN), fell)
    assert "1 of 3 voters answer, 2 are needed; m2 and m3 do not" in lost.sentence
    assert all(row.value for row in lost.evidence)


def test_a_window_that_the_deadline_cut_short_blames_no_member():
    silenced = member("m1", serializable=probes(-0.001), window=Unknown("no answer in 0.001 s"))
    cut = msgspec.structs.replace(
        sample(silenced), cut_short="the deadline leaves 1.0 s, the window takes 3 s"
    )
    diagnosis = diagnose(cut)
    (told,) = diagnosis.findings
    assert told.blind
    assert told.subject == ""
    assert "the deadline leaves 1.0 s" in told.sentence
    assert isinstance(diagnosis.causes, Unknown)
    assert all(
        isinstance(one.disk_slow, Unknown) and isinstance(one.network_slow, Unknown)
        for one in judge_each(cut)
    )


def finding(verdict, *members):
    found = [one for one in diagnose(sample(*members)).findings if one.verdict == verdict]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("verdict", "subject", "members"),
    [
        ("disk-slow-minority", "m2", [member("m2", **SLOW_DISK)]),
        ("disk-slow-majority", "m1, m3", [member("m1", **SLOW_DISK), member("m3", **SLOW_DISK)]),
        ("network-node", "m3", [member("m3", **LOSES)]),
        ("network-node", "m1", [member("m2", **LOSES), member("m3", **LOSES)]),
        (
            "network-node",
            "m1",
            [member("m1", linearizable=probes(*FAST[:8], 0.4, -1.2)), member("m2", **LOSES)],
        ),
        (
            "network-node",
            "m1",
            [member(name, last_leader="m2", **LOSES, **CHURN) for name in ("m1", "m2", "m3")],
        ),
    ],
)
def test_the_member_at_fault_is_named(verdict, subject, members):
    assert subject == finding(verdict, *members).subject


def test_what_follows_stands_under_its_cause():
    cause = finding(
        "disk-slow-leader",
        member("m1", **SLOW_DISK, **LOADED),
        member("m2", **WAITS, increases={"server_leader_changes_seen_total": 2.0}),
        member("m3", **WAITS),
    )
    assert "linearizable reads are slow through m1, m2 and m3" in cause.follows
    assert "leader changes: 2" in cause.follows


@pytest.mark.parametrize(
    "members",
    [
        [member("m2", window=Unknown("connection refused"))],
        [silent("m2", Silence.UNREACHABLE)],
        [silent("m2", Silence.TLS)],
        [silent("m2", Silence.SLOW)],
        [member("m2", serializable=probes(0.002, -1.2))],
    ],
    ids=["metrics unreadable", "unreachable", "TLS fails", "silent", "fell silent"],
)
def test_what_could_not_be_read_makes_the_lists_unknown_and_is_never_good(members):
    diagnosis = diagnose(sample(*members))
    assert isinstance(diagnosis.causes, Unknown)
    assert isinstance(diagnosis.slow_disk_members, Unknown)
    assert any(one.blind for one in diagnosis.findings)
    assert not any(one.verdict in {"not-etcd", "idle"} for one in diagnosis.findings)


def test_the_slow_reads_of_a_leader_without_metrics_are_not_blamed_on_anything():
    members = [member("m1", window=Unknown("refused"), **WAITS), member("m2", **WAITS), member("m3", **WAITS)]
    assert not [one for one in diagnose(sample(*members)).findings if one.verdict.startswith("network")]


@pytest.mark.parametrize("silence", list(Silence))
def test_a_silent_member_is_never_healthy(silence):
    assert any(one.blind for one in diagnose(sample(silent("m3", silence))).findings)


def test_a_lost_quorum_is_the_answer_and_nothing_is_missing():
    members = [silent("m2", Silence.DEAD), silent("m3", Silence.UNREACHABLE), member("m1", linearizable=())]
    diagnosis = diagnose(sample(*members))
    assert not any(one.blind for one in diagnosis.findings)
    assert diagnosis.findings[0].verdict == "quorum-lost"


def test_an_idle_etcd_is_neither_called_good_nor_unknown():
    idle = [member(name, fsync=histogram(0.001, 0.001)) for name in ("m1", "m2", "m3")]
    diagnosis = diagnose(sample(*idle))
    assert [(one.severity, one.verdict, one.blind) for one in diagnosis.findings] == [
        (Severity.NOTE, "idle", False)
    ]
    assert diagnosis.causes == ()
    assert diagnosis.leader_disk_slow is False
    assert all(isinstance(one.disk_slow, Unknown) for one in judge_each(sample(*idle)))


def test_a_few_slow_fsyncs_on_a_slow_member_cannot_be_told():
    diagnosis = diagnose(sample(member("m1", fsync=histogram(0.2, 0.2), **LOADED)))
    assert [one.verdict for one in diagnosis.findings if one.blind] == ["cannot-tell"]
    assert isinstance(diagnosis.leader_disk_slow, Unknown)


def test_good_figures_say_that_it_is_not_etcd():
    good = finding("not-etcd")
    assert good.severity is Severity.OK
    assert "fsync p99 is 1.99 ms" in good.sentence


@pytest.mark.parametrize(
    ("reads", "good"),
    [(FAST, True), (FAST[:3], False), ((*FAST, -0.5), False), ((*FAST, 0.3), True)],
    ids=["fast", "too few", "one failed", "one hiccup"],
)
def test_good_is_said_only_of_enough_reads_that_all_succeeded(reads, good):
    diagnosis = diagnose(sample(member("m2", linearizable=probes(*reads))))
    assert good == any(one.verdict == "not-etcd" for one in diagnosis.findings)
    assert diagnosis.causes == ()


def test_the_leaders_disk_is_unknown_without_its_metrics():
    assert isinstance(diagnose(sample(member("m1", window=Unknown("refused")))).leader_disk_slow, Unknown)


def test_members_are_judged_one_by_one():
    slow = member("m2", **SLOW_DISK, **LOADED)
    lossy = member("m3", rtt={"m1": histogram(0.3)}, **LOSES)
    m1, m2, m3 = judge_each(sample(slow, lossy))
    assert (m1.disk_slow, m1.network_slow) == (False, False)
    assert m2.disk_slow is True
    assert isinstance(m2.network_slow, Unknown)
    assert (m3.disk_slow, m3.network_slow) == (False, True)
    assert m3.round_trips["m1"] == pytest.approx(0.3)
    assert isinstance(m1.round_trips["m2"], Unknown)
    assert not isinstance(m2.fsync_p99, Unknown)
    assert m2.fsync_p99 > 0.064


def test_equal_samples_give_equal_diagnoses():
    assert diagnose(sample(member("m2", **LOSES))) == diagnose(sample(member("m2", **LOSES)))
