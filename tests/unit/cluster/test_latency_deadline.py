"""A latency window for which the deadline leaves too little time is told, and not begun."""

from sretool.clock import Deadline
from sretool.cluster import Cluster
from sretool.cluster.inventory import parse_cluster
from sretool.cluster.latency import latest_latency, measure_latency
from sretool.knowledge.verdicts import diagnose
from tests.support.moving_clock import MovingClock

_NOWHERE = """
cluster: nowhere
etcd:
  members:
    - {name: m1, client: "http://127.0.0.1:9", peer: "http://127.0.0.1:9"}
"""


def test_a_window_longer_than_what_is_left_is_not_begun_and_no_member_is_asked_or_blamed():
    clock = MovingClock()
    with Cluster(parse_cluster(_NOWHERE, origin="test"), clock) as cluster:
        sample = measure_latency(cluster.reader(Deadline(clock, 1.0)), 3.0)
    assert clock.slept == []
    (told,) = diagnose(sample).findings
    assert told.sentence.startswith("the deadline of the run or step leaves 1.0 s, the window takes 3 s")
    assert told.blind


def test_a_window_that_was_not_begun_does_not_serve_the_next_look():
    clock = MovingClock()
    with Cluster(parse_cluster(_NOWHERE, origin="test"), clock) as cluster:
        read = cluster.reader(Deadline(clock, 1.0))
        assert latest_latency(read, 3.0, not_older_seconds=60.0).cut_short
        later = latest_latency(cluster.reader(Deadline(clock, 9.0)), 3.0, not_older_seconds=60.0)
    assert not later.cut_short
