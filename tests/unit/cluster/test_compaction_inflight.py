"""Whether a compaction is under way: what members count as begun and finished, and when they must be watched."""

from typing import Any

import pytest

from sretool.cluster.compaction import compaction_inflight
from sretool.model import MetricsPage, Sample, Unknown
from tests.support.moving_clock import MovingClock


def page(*, begun: int, finished: int, revision: int = 100, started: float = 5.0) -> MetricsPage:
    counts = {
        "process_start_time_seconds": started,
        "etcd_debugging_mvcc_index_compaction_pause_duration_milliseconds_count": begun,
        "etcd_debugging_mvcc_db_compaction_total_duration_milliseconds_count": finished,
        "etcd_debugging_mvcc_compact_revision": revision,
    }
    return MetricsPage({name: (Sample({}, value),) for name, value in counts.items()})


IDLE = page(begun=3, finished=3)
NEXT_IDLE = page(begun=4, finished=4, revision=200)
REMOVING = page(begun=4, finished=3, revision=200)
ACCEPTED = page(begun=3, finished=3, revision=200)
RESTARTED = page(begun=0, finished=0, revision=0, started=9.0)


class Members:
    """One run: the members' pages now, and every look at them."""

    def __init__(self, **pages: MetricsPage | Unknown) -> None:
        self.now, self.later = pages, pages
        self.clock = MovingClock()
        self.between_looks: dict[str, Any] = {}
        self.scraped: list[str] = []

    def look(self, *, later: dict[str, Any] | None = None, **pages: MetricsPage | Unknown) -> Any:
        """Look anew, with `pages` changed; `later` are those of a second scrape."""
        self.now = self.now | pages
        self.later = self.now | (later or {})
        self.clock.slept.clear()
        self.scraped.clear()
        return compaction_inflight(_Etcd(self))  # type: ignore[arg-type]  # what it uses of a reader


class _Etcd:
    def __init__(self, members: Members) -> None:
        self._members = members
        self.names = tuple(members.now)
        self.between_looks = members.between_looks
        self.now, self.wait = members.clock.monotonic, members.clock.sleep
        self.metrics_at = (self.now(), self.now())

    def metrics(self) -> dict[str, Any]:
        return self._members.now

    def scraped_after(self, moment: float, names: list[str]) -> dict[str, Any]:
        assert moment <= self.now() + 1e-9
        self._members.scraped += names
        return {name: self._members.later[name] for name in names}


@pytest.fixture
def members() -> Members:
    return Members(m1=IDLE, m2=IDLE)


def test_at_the_first_look_every_member_is_watched(members: Members) -> None:
    assert members.look() is False
    assert (members.clock.slept, members.scraped) == ([pytest.approx(0.1)], ["m1", "m2"])


def test_one_that_begins_while_its_member_is_watched_is_seen(members: Members) -> None:
    assert members.look(later={"m2": REMOVING}) is True


def test_one_that_removes_revisions_is_seen_at_once(members: Members) -> None:
    assert members.look(m2=REMOVING) is True
    assert members.clock.slept == []


def test_what_an_earlier_look_has_seen_need_not_be_watched_again(members: Members) -> None:
    members.look()
    assert members.look() is False
    assert members.look(m1=NEXT_IDLE, m2=NEXT_IDLE) is False
    assert (members.clock.slept, members.scraped) == ([], [])


def test_one_that_is_asked_for_and_not_counted_yet_is_watched(members: Members) -> None:
    members.look()
    assert members.look(m2=ACCEPTED, later={"m2": REMOVING}) is True
    assert (members.clock.slept, members.scraped) == ([pytest.approx(0.1)], ["m2"])


def test_a_second_one_right_after_the_first_is_watched_too(members: Members) -> None:
    members.look()
    assert members.look(m2=REMOVING) is True
    assert members.look(m2=page(begun=4, finished=4, revision=300), later={"m2": IDLE}) is False
    assert members.scraped == ["m2"]


def test_one_that_is_not_counted_yet_while_another_is_seen_is_watched_afterwards(members: Members) -> None:
    members.look()
    assert members.look(m1=REMOVING, m2=ACCEPTED) is True
    assert members.look(m1=NEXT_IDLE, later={"m2": REMOVING}) is True
    assert members.scraped == ["m2"]


def test_a_member_that_took_a_snapshot_is_no_compaction_for_ever(members: Members) -> None:
    members.look()
    assert members.look(m2=ACCEPTED) is False
    assert members.look() is False
    assert members.scraped == []


def test_a_restarted_member_is_watched(members: Members) -> None:
    members.look()
    assert members.look(m1=RESTARTED) is False
    assert members.scraped == ["m1"]


def test_an_earlier_look_is_forgotten_after_a_minute(members: Members) -> None:
    members.look()
    members.clock.pass_by(61.0)
    assert members.look() is False
    assert members.scraped == ["m1", "m2"]


def test_without_a_members_metrics_nobody_can_tell(members: Members) -> None:
    silent = Unknown("it does not answer")
    assert members.look(m2=silent) == Unknown("the metrics of m2 cannot be read")
    assert members.look(m1=REMOVING) is True
    assert members.look(m1=NEXT_IDLE, m2=IDLE, later={"m2": silent}) == Unknown(
        "the metrics of m2 cannot be read"
    )
