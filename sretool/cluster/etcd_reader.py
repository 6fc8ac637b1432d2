"""etcd, read: everything a step may ask of the members, remembered for the length of one look."""

import datetime
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sretool.clock import Clock, Deadline
from sretool.cluster import etcd_questions as questions
from sretool.cluster.connections import FIRST_PASS_SECONDS, EtcdConnections
from sretool.cluster.disks import read_disk
from sretool.cluster.etcd_keys import EtcdKeys
from sretool.cluster.etcd_pages import EtcdPages
from sretool.cluster.inventory import EtcdAccess, InventoryMember
from sretool.errors import InterruptedRunError, RemoteError
from sretool.knowledge.membership import foreign_metrics
from sretool.model import (
    Alarm,
    DiskSpace,
    EndpointStatus,
    Known,
    MemberId,
    MemberList,
    MetricsPage,
    Silence,
    Unknown,
    known_only,
)

if TYPE_CHECKING:
    from sretool.clients.etcd import EtcdReads
    from sretool.clients.etcd.certificates import CertificateDays

T = TypeVar("T")
R = TypeVar("R")

SILENCE_SECONDS = 1.0
READ_SECONDS = 2.0
SCRAPE_SECONDS = 1.5
_IDS = "member ids"  # kept between looks: a member keeps its id for life


class EtcdReader:
    """Reads of one look. What was read once is not asked again.

    Methods that ask several members return a mapping by member name, in inventory order, and ask all of
    them at once: the slowest or silent member costs its deadline, not a sum.
    """

    def __init__(
        self,
        access: EtcdAccess,
        connections: EtcdConnections,
        *,
        clock: Clock,
        deadline: Deadline,
        interruptible: bool = True,
    ) -> None:
        self.members: tuple[InventoryMember, ...] = access.members
        self._connections = connections
        self._clock = clock
        self._deadline = deadline
        self._interruptible = interruptible
        self._remembered: dict[str, object] = {}
        self._pages = EtcdPages()
        self.metrics_at = (0.0, 0.0)
        """When reading the pages that `metrics` remembers began and ended, in seconds of `now`."""
        self.keys = EtcdKeys(connections, choose=self._least_loaded, deadline=deadline)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(member.name for member in self.members)

    @property
    def between_looks(self) -> dict[str, Any]:
        """What an earlier look of this run has left to compare with."""
        return self._connections.between_looks

    def member(self, name: str) -> InventoryMember:
        return next(member for member in self.members if member.name == name)

    # -- of every member ------------------------------------------------------------------------------

    def status(self) -> Mapping[str, Known[EndpointStatus]]:
        """Return each member's own Status, or why there is none (1.2 s)."""
        return self.remember("status", self._read_status)

    def status_now(self, names: Iterable[str] = ()) -> Mapping[str, Known[EndpointStatus]]:
        """Ask `names` (all members when empty) for their Status now; nothing is remembered."""
        return self._read_status(tuple(names))

    def silences(self) -> Mapping[str, tuple[Silence, str]]:
        """Return, for the members without a Status, what TCP and the metrics listener say about them."""
        return self.remember("silences", self._find_silences)

    def answering(self) -> tuple[str, ...]:
        """Return the names of the members that answered Status."""
        return tuple(known_only(self.status()))

    def unserved(self) -> Mapping[str, str]:
        """Return, by voter that answered Status, why it answered no read through consensus; empty if it did."""
        return self.remember("unserved", lambda: questions.read_unserved(self))

    def metrics(self) -> Mapping[str, Known[MetricsPage]]:
        """Return each member's metrics page, scraped once a look; who was just found silent there is not asked."""
        return self.remember("metrics", self._scrape_who_may_answer)

    def scrape(self, names: Iterable[str] = ()) -> Mapping[str, Known[MetricsPage]]:
        """Scrape the metrics of `names` (all members when empty) now; nothing is remembered."""
        return self._fan_out(tuple(names) or self.names, self._scrape_one)

    def scraped_after(self, moment: float, names: Sequence[str]) -> Mapping[str, Known[MetricsPage]]:
        """Return the pages of `names` that were asked for after `moment` (of `now`), else scrape them now."""
        found = self._pages.asked_after(moment, names)
        rest = [name for name in names if name not in found]
        return {**found, **(self.scrape(rest) if rest else {})}

    def take_over(self, earlier: "EtcdReader") -> None:
        """Let `metrics` begin with the pages that `earlier` has just read: nothing was written since."""
        self._pages.take_over(earlier._pages, now=self.now())  # noqa: SLF001 - of its own kind

    def time_read(self, name: str, *, linearizable: bool, timeout_seconds: float) -> float:
        """Return the seconds that one read of one key through `name` took; RemoteError when it failed."""
        start = self._clock.monotonic()
        self._connections.reads(name).range_page(
            questions.PROBE_KEY,
            limit=1,
            serializable=not linearizable,
            timeout_seconds=self._cap(timeout_seconds),
        )
        return self._clock.monotonic() - start

    def read_ahead(self) -> None:
        """Read side by side what every look before a change asks for, one question after the other otherwise."""
        self.status()
        each = (self.member_list, self.alarms, self.is_kubernetes, self.unserved)
        asked = [self._connections.pool.submit(question) for question in each]
        self.metrics()
        for answer in asked:
            answer.result()

    def revisions(self) -> Mapping[str, Known[int]]:
        """Return each member's current revision, asked now (Status, 1.2 s); nothing is remembered."""
        return {
            name: status if isinstance(status, Unknown) else status.revision
            for name, status in self.status_now().items()
        }

    def disk(self, name: str) -> Known[DiskSpace]:
        """Return free space on the file system of `name`'s data directory, where this machine can see it."""
        return read_disk(self.member(name))

    # -- of the cluster ---------------------------------------------------------------------------------

    def member_list(self) -> Known[MemberList]:
        """Return the member list: linearizable, or from one member and marked stale without a quorum."""
        return self.remember("member_list", lambda: questions.read_member_list(self))

    def alarms(self) -> Known[tuple[Alarm, ...]]:
        """Return the alarms. AlarmList is a raft proposal, asked once a look: see `questions.read_alarms`."""
        return self.remember("alarms", lambda: questions.read_alarms(self))

    def is_kubernetes(self) -> Known[bool]:
        """Tell whether a Kubernetes API server keeps its objects here."""
        return self.remember("is_kubernetes", lambda: questions.read_is_kubernetes(self))

    def compact_revision(self) -> Known[int]:
        """Return the highest compacted revision that a member reports (0: never compacted)."""
        return self.remember("compact_revision", lambda: questions.read_compact_revision(self))

    def compact_revision_of(self, name: str) -> Known[int]:
        """Return the revision up to which `name` has compacted, asked by a watch (0: never compacted)."""

        def ask(name: str) -> int:
            reads, seconds = self._connections.reads(name), self._cap(READ_SECONDS)
            return reads.compact_revision_by_watch(timeout_seconds=seconds) or 0

        return self._fan_out((name,), ask)[name]

    def certificate_days(self, name: str) -> "CertificateDays":
        """Return for how many days our certificate and `name`'s are still valid."""
        return self._connections.certificate_days(
            name, now=self._clock.now(), timeout_seconds=self._cap(FIRST_PASS_SECONDS)
        )

    # -- time ---------------------------------------------------------------------------------------------

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Let no read inside the `with` take longer than `seconds`, counted from now."""
        outer = self._deadline
        self._deadline = outer.within(seconds)
        try:
            yield
        finally:
            self._deadline = outer

    def wait(self, seconds: float) -> None:
        """Let `seconds` pass; InterruptedRunError when the run was asked to stop meanwhile."""
        if not self._interruptible:
            self._clock.pause(self._deadline.cap(seconds))
        elif not self._clock.sleep(self._deadline.cap(seconds)):
            raise InterruptedRunError("interrupted while looking", signal_number=2)

    def now(self) -> float:
        """Return seconds of the clock that never goes back: for spacing reads, not for telling the time."""
        return self._clock.monotonic()

    def seconds_left(self) -> float:
        """Return the seconds until the deadline of this look, step or run, never below zero."""
        return self._deadline.left()

    def utc_now(self) -> datetime.datetime:
        """Return the wall-clock time: for the age of what carries a time stamp."""
        return self._clock.now()

    # -- how ------------------------------------------------------------------------------------------------

    def side_by_side(self, what: Iterable[T], ask: Callable[[T], R]) -> list[R]:
        """Return `ask` of each, asked at the same time; what one of them raises is raised."""
        return list(self._connections.pool.map(ask, what))

    def remember(self, what: str, read: Callable[[], T]) -> T:
        """Return what `read` returned the first time in this look; `what` names it."""
        if what not in self._remembered:
            self._remembered[what] = read()
        return cast("T", self._remembered[what])

    def _cap(self, seconds: float) -> float:
        """Return what one request that takes `seconds` by gRPC may take."""
        return self._deadline.cap(seconds * self._connections.patience)

    def _fan_out(self, names: tuple[str, ...], ask: Callable[[str], T]) -> dict[str, Known[T]]:
        def guarded(name: str) -> Known[T]:
            try:
                return ask(name)
            except RemoteError as error:
                return Unknown(error.message, error.then)

        return dict(zip(names, self._connections.pool.map(guarded, names), strict=True))

    def ask_any(self, ask: "Callable[[EtcdReads, float], T]") -> Known[T]:
        """Return the first answer of a member that answers Status, or the last reason why there is none."""
        reasons = []
        for name in self.answering():
            try:
                return ask(self._connections.reads(name), self._cap(READ_SECONDS))
            except RemoteError as error:
                reasons.append(error.message)
        return Unknown(reasons[-1] if reasons else "no member answers")

    def _read_status(self, names: tuple[str, ...] = ()) -> dict[str, Known[EndpointStatus]]:
        seconds = self._cap(FIRST_PASS_SECONDS)
        found = self._fan_out(
            names or self.names, lambda name: self._connections.reads(name).status(timeout_seconds=seconds)
        )
        ids = {name: MemberId(status.member_id) for name, status in known_only(found).items()}
        self.between_looks[_IDS] = self.between_looks.get(_IDS, {}) | ids
        return found

    def _find_silences(self) -> dict[str, tuple[Silence, str]]:
        silent = tuple(name for name in self.names if name not in self.answering())
        found = self._fan_out(
            silent, lambda name: self._connections.find_silence(name, self._cap(SILENCE_SECONDS))
        )
        return {
            name: (Silence.UNREACHABLE, answer.reason) if isinstance(answer, Unknown) else answer
            for name, answer in found.items()
        }

    def _scrape_who_may_answer(self) -> dict[str, Known[MetricsPage]]:
        silences = self.silences()
        gone = {
            name: Unknown(f"{name} is {silence}: {reason}")
            for name, (silence, reason) in silences.items()
            if silence in {Silence.DEAD, Silence.FROZEN, Silence.UNREACHABLE}
        }
        pages = self.scraped_after(-math.inf, [name for name in self.names if name not in gone])
        self.metrics_at = (min(self.now(), self._pages.first_asked(pages)), self.now())
        return {name: gone.get(name) or pages[name] for name in self.names}

    def _scrape_one(self, name: str) -> MetricsPage:
        asked = self.now()
        page = self._connections.scrape(name, timeout_seconds=self._cap(SCRAPE_SECONDS))
        if name not in self.between_looks.get(_IDS, {}):
            self.status()
        known = self.between_looks.get(_IDS, {}).get(name)
        url = self.member(name).metrics_url
        if known and (foreign := foreign_metrics(page, name=name, member_id=known, url=url)):
            raise RemoteError(foreign, then="correct `client` and `metrics` in the cluster file")
        self._pages.put(name, page, asked=asked)
        return page

    def _least_loaded(self) -> str:
        """Return a follower that answers, or the leader when it is alone; RemoteError when none does."""
        statuses = known_only(self.status())
        if not statuses:
            raise RemoteError("no etcd member answers")
        return min(statuses, key=lambda name: (statuses[name].is_leader, statuses[name].is_learner, name))
