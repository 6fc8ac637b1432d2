"""When moving leadership is over: with etcd's answer, or when every member follows before that."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from sretool.clock import Deadline, SystemClock
from sretool.cluster.etcd_writer import EtcdWriter
from sretool.errors import NoAnswerError, NotLeaderError, RemoteError

OLD, NEW = 1, 2


class Cluster:
    """Three members, what each of them says of the leader, and etcd's answer once it `may_answer`."""

    names = ("m1", "m2", "m3")
    patience = 1.0

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(4)
        self.leader_by: dict[str, int | RemoteError] = dict.fromkeys(self.names, OLD)
        self.may_answer = threading.Event()
        self.answer: RemoteError | None = None
        self.answered = False
        self.looks = 0

    def writes(self, name: str) -> SimpleNamespace:
        assert name == "m1"

        def move_leader(target_id: int, *, timeout_seconds: float) -> None:
            assert (target_id, timeout_seconds) == (NEW, pytest.approx(5.0, abs=0.5))
            assert self.may_answer.wait(5.0)
            self.answered = True
            if self.answer is not None:
                raise self.answer

        return SimpleNamespace(move_leader=move_leader)

    def reads(self, name: str) -> SimpleNamespace:
        def status(*, timeout_seconds: float) -> SimpleNamespace:
            self.looks += 1
            if self.looks > 30:  # nothing is to be seen any more: etcd's answer decides
                self.may_answer.set()
            leader = self.leader_by[name]
            if isinstance(leader, RemoteError):
                self.may_answer.set()
                raise leader
            return SimpleNamespace(leader=leader)

        return SimpleNamespace(status=status)

    def move(self) -> None:
        writer = EtcdWriter(self, deadline=Deadline(SystemClock(), 60.0))  # type: ignore[arg-type]  # a fake
        writer.move_leader(NEW, leader="m1")


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    yield cluster
    cluster.may_answer.set()
    cluster.pool.shutdown()


def test_it_is_over_when_every_member_names_the_target_though_etcd_has_not_answered(cluster: Cluster) -> None:
    cluster.leader_by = dict.fromkeys(cluster.names, NEW)
    cluster.move()
    assert not cluster.answered


def test_as_long_as_one_member_names_another_etcds_answer_decides(cluster: Cluster) -> None:
    cluster.leader_by |= {"m1": NEW, "m2": NEW}
    cluster.move()
    assert cluster.answered


def test_where_a_member_does_not_answer_etcds_answer_decides(cluster: Cluster) -> None:
    cluster.leader_by = {"m1": NEW, "m2": NEW, "m3": NoAnswerError("silent")}
    cluster.move()
    assert cluster.answered


def test_what_etcd_refuses_is_raised(cluster: Cluster) -> None:
    cluster.answer = NotLeaderError("m1 does not lead")
    with pytest.raises(NotLeaderError):
        cluster.move()


def test_where_looking_takes_long_nobody_is_asked(cluster: Cluster) -> None:
    cluster.patience = 6.0
    cluster.may_answer.set()
    cluster.move()
    assert (cluster.answered, cluster.looks) == (True, 0)
