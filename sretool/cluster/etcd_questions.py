"""The questions about the whole etcd cluster that take more than one read to answer."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from sretool.clients.etcd import prefix_end
from sretool.cluster.connections import FIRST_PASS_SECONDS
from sretool.errors import NotPermittedError, RemoteError
from sretool.knowledge.metric_names import COMPACT_REVISION
from sretool.knowledge.quorum import quorum_of
from sretool.knowledge.versions import ALARM_LIST_SAFE, parse_version
from sretool.model import Alarm, AlarmType, EndpointStatus, Known, MemberList, Unknown, known_only

if TYPE_CHECKING:
    from sretool.clients.etcd import EtcdReads
    from sretool.cluster.etcd_reader import EtcdReader

PROBE_KEY = b"compact_rev_key"  # Kubernetes keeps its compaction revision there; a missing key reads as fast
_KUBERNETES_PREFIX = b"/registry/"


def read_member_list(etcd: "EtcdReader") -> Known[MemberList]:
    """Return the member list: linearizable, or without a quorum from one member, which makes it stale."""
    if has_quorum(etcd):
        current = etcd.ask_any(
            lambda reads, seconds: reads.member_list(linearizable=True, timeout_seconds=seconds)
        )
        if not isinstance(current, Unknown):
            return current
    return etcd.ask_any(lambda reads, seconds: reads.member_list(linearizable=False, timeout_seconds=seconds))


def read_alarms(etcd: "EtcdReader") -> Known[tuple[Alarm, ...]]:
    """Return the alarms: those in Status, which needs no quorum, and those of one AlarmList.

    AlarmList is a raft proposal, and a server before 3.5.5 may not start again after it (etcd PR 14429).
    """
    statuses = _statuses(etcd)
    if not statuses:
        return Unknown("no member answers")
    seen = {alarm for status in statuses for alarm in alarms_of_errors(status.errors)}
    versions = [parse_version(status.version) for status in statuses]
    if any(version is None or version < ALARM_LIST_SAFE for version in versions):
        return tuple(sorted(seen))
    listed: Known[tuple[Alarm, ...]] = Unknown("etcd has no leader, or no quorum")
    if has_quorum(etcd):
        listed = etcd.ask_any(lambda reads, seconds: reads.alarms(timeout_seconds=seconds))
    if not isinstance(listed, Unknown):
        return tuple(sorted(seen | set(listed)))
    return tuple(sorted(seen)) if seen else Unknown(f"the alarms could not be listed: {listed.reason}")


def has_quorum(etcd: "EtcdReader") -> bool:
    """Tell whether a majority of the members answers and one of them names a leader. A leader that lost its
    majority goes on naming itself for an election timeout."""
    statuses = _statuses(etcd)
    return len(statuses) >= quorum_of(len(etcd.members)) and any(status.leader for status in statuses)


def alarms_of_errors(errors: Iterable[str]) -> Iterator[Alarm]:
    """Yield the alarms that `Status.errors` spells out (`memberID:1234 alarm:NOSPACE `)."""
    for error in errors:
        words = dict(word.split(":", 1) for word in error.split() if ":" in word)
        if words.get("memberID", "").isdigit() and "alarm" in words:
            try:
                kind = AlarmType(words["alarm"])
            except ValueError:
                kind = AlarmType.UNRECOGNISED
            yield Alarm(int(words["memberID"]), kind)


def read_unserved(etcd: "EtcdReader") -> Mapping[str, str]:
    """Return why a read through consensus got no answer (1.2 s), by voter that answers Status; empty if it did.

    Nobody is asked where the silent ones alone explain it.
    """
    statuses = known_only(etcd.status()) if has_quorum(etcd) else {}
    names = [name for name, status in statuses.items() if not status.is_learner]
    asked = etcd.side_by_side(
        names,
        lambda name: why_unserved(
            lambda: etcd.time_read(name, linearizable=True, timeout_seconds=FIRST_PASS_SECONDS)
        ),
    )
    return dict(zip(names, asked, strict=True))


def why_unserved(read: Callable[[], object]) -> str:
    """Return why this read through consensus got no answer; empty if it did.

    Status needs nobody else: a member answers it that the others cannot hear, or whose disk hangs, and votes for
    nothing. As `etcdctl endpoint health` has it, one that is not permitted to read was served.
    """
    try:
        read()
    except NotPermittedError:
        return ""
    except RemoteError as error:
        return error.message
    return ""


def read_is_kubernetes(etcd: "EtcdReader") -> Known[bool]:
    """Tell whether an API server keeps its objects here: by its compaction key, or by its usual prefix."""

    def ask(reads: "EtcdReads", seconds: float) -> bool:
        ranges = ((PROBE_KEY, b""), (_KUBERNETES_PREFIX, prefix_end(_KUBERNETES_PREFIX)))
        return any(
            reads.range_page(
                start, end, limit=1, keys_only=True, serializable=True, timeout_seconds=seconds
            ).keys
            for start, end in ranges
        )

    return etcd.ask_any(ask)


def read_compact_revision(etcd: "EtcdReader") -> Known[int]:
    """Return the highest compacted revision: from metrics, else from a watch that is cancelled with it."""
    gauges = [
        value
        for page in known_only(etcd.metrics()).values()
        if not isinstance(value := page.value(COMPACT_REVISION), Unknown)
    ]
    # The gauge is 0 from a restart until the first compaction after it: only a positive one is an answer.
    if any(value > 0 for value in gauges):
        return int(max(gauges))
    return etcd.ask_any(lambda reads, seconds: reads.compact_revision_by_watch(timeout_seconds=seconds) or 0)


def _statuses(etcd: "EtcdReader") -> list[EndpointStatus]:
    return list(known_only(etcd.status()).values())
