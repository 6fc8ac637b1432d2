"""Verdicts on the paths between members: who waits for whom although every disk is fast.

Probes decide: etcd observes a round-trip time only every 5 to 30 s, smoothed over half a minute. The leader
answers a linearizable read of its own after a quorum confirmed it, a follower's after a round trip to the
leader: so a slow follower is alone in being slow, and a slow leader makes everyone slow.
"""

import itertools

import msgspec

from sretool.knowledge import thresholds
from sretool.knowledge.latency_view import LatencyView, MemberView, names, reads_row, shown
from sretool.knowledge.latency_windows import is_apply_slow
from sretool.knowledge.verdict_disk import holds_up_everyone
from sretool.knowledge.verdict_members import maintenance_of
from sretool.model import Evidence, Finding, Known, Severity, Unknown


class SlowPaths(msgspec.Struct, frozen=True, kw_only=True):
    """Members whose network is slow, and pairs of members when only the path between the two is."""

    nodes: tuple[MemberView, ...] = ()
    pairs: tuple[tuple[MemberView, MemberView], ...] = ()

    @property
    def members(self) -> tuple[str, ...]:
        """The names of all members that are concerned."""
        both = [node.name for node in self.nodes] + [one.name for pair in self.pairs for one in pair]
        return tuple(sorted(set(both)))


def find_slow_paths(view: LatencyView) -> SlowPaths:
    """Return the slow paths that nothing else explains.

    A slow disk, an election after a member's death, an apply that takes long or a defragmentation slow reads
    down as well; where one of these is seen, no path is accused. Nor is one whose round trips were measured and
    are good, nor any where only one member votes: it waits for nobody.
    """
    if view.voters < 2:
        return SlowPaths()
    found = _suspected(view)
    return SlowPaths(
        nodes=tuple(node for node in found.nodes if not _is_near(view, node)),
        pairs=tuple(pair for pair in found.pairs if not _is_good(round_trip(view, *(m.name for m in pair)))),
    )


def _suspected(view: LatencyView) -> SlowPaths:
    if holds_up_everyone(view) or (view.silent and view.leader_changes):
        return SlowPaths()
    waiting = tuple(member for member in view.answering if _waits_for_others(member))
    leader = view.find(view.leader)
    if leader is None:
        return SlowPaths()
    if view.first_leader != view.leader:
        return _of_moved_leadership(view, waiting)
    followers = tuple(m for m in view.answering if m is not leader and not m.is_learner)
    slow_followers = tuple(member for member in followers if member in waiting)
    if _is_slow_itself(leader):
        return SlowPaths()
    if view.is_flooded and not _is_far(view, leader, followers):
        return SlowPaths()
    if leader in waiting and len(followers) == 1 and slow_followers:
        return SlowPaths(pairs=((leader, followers[0]),))  # nobody else is left to tell the two apart
    if leader in waiting or (len(followers) > 1 and _reaches_beyond(view, slow_followers)):
        return SlowPaths(nodes=(leader,))
    return _of_followers(view, slow_followers, leader)


def judge_network(view: LatencyView, paths: SlowPaths, follows: tuple[str, ...]) -> tuple[Finding, ...]:
    """Return `network-node` for each slow member, `network-pair` for each slow pair, notes on round-trip times."""
    return (
        *(_node(view, node, follows) for node in paths.nodes),
        *(_pair(view, pair, follows) for pair in paths.pairs),
        *_round_trip_notes(view, paths),
    )


def round_trip(view: LatencyView, one: str, other: str) -> Known[float]:
    """Return the round trip between two members in seconds, as the one that saw it longer tells.

    A single observation suffices: etcd observes a running average, so each one stands for half a minute.
    """
    found = [
        value
        for here, there in ((one, other), (other, one))
        if (member := view.find(here))
        and member.window
        and there in member.window.rtt
        and not isinstance(value := member.window.rtt[there].mean, Unknown)
    ]
    return max(found) if found else Unknown("no round trip was observed in the window")


def _waits_for_others(member: MemberView) -> bool:
    return member.linearizable.is_slow and member.disk_slow is not True and not _is_slow_itself(member)


def _is_slow_itself(member: MemberView) -> bool:
    """Tell whether something else than its network slows the member, or may do so; a leader slows everyone then."""
    return (
        member.window is None
        or member.serializable.is_slow
        or member.disk_suspicious
        or member.is_busy
        or member.serves_large_reads
        or is_apply_slow(member.sample)
        or bool(maintenance_of(member))
    )


def _is_far(view: LatencyView, leader: MemberView, followers: tuple[MemberView, ...]) -> bool:
    """Tell whether a round trip to the leader was seen to be slow: a queue of writes alone does not do that."""
    seen = [round_trip(view, leader.name, follower.name) for follower in followers]
    return any(not isinstance(rtt, Unknown) and rtt > thresholds.RTT_SLOW_SECONDS for rtt in seen)


def _is_near(view: LatencyView, node: MemberView) -> bool:
    """Tell whether all that the member waits for was seen to be near: a follower waits for its leader."""
    leads = node.name in {view.leader, view.first_leader}
    others = [m.name for m in view.members if m is not node and not m.is_learner] if leads else [view.leader]
    return all(_is_good(round_trip(view, node.name, other)) for other in others)


def _is_good(rtt: Known[float]) -> bool:
    return not isinstance(rtt, Unknown) and rtt <= thresholds.RTT_GOOD_SECONDS


def _reaches_beyond(view: LatencyView, slow: tuple[MemberView, ...]) -> bool:
    """Tell whether members beside the slow followers wait now and then: then it is the leader's network."""
    rest = [member for member in view.answering if member not in slow and not member.is_learner]
    alone = all(member.name == view.leader for member in rest)
    strays = sum(member.linearizable.slow for member in rest if member.disk_slow is not True)
    return bool(slow) and (alone or strays >= thresholds.READS_SLOW_AT_LEAST)


def _of_moved_leadership(view: LatencyView, waiting: tuple[MemberView, ...]) -> SlowPaths:
    """Accuse the member that lost leadership; where that is not known, the one that waited most.

    A leader with a slow network makes everyone wait, and goes on waiting when it follows.
    """
    lost_it = tuple(member for member in waiting if member.name == view.first_leader)
    nodes = lost_it or ((max(waiting, key=_waited),) if waiting else ())
    return SlowPaths(nodes=nodes)


def _waited(member: MemberView) -> tuple[float, float]:
    reads = member.linearizable
    return (reads.slow / reads.total, sum(probe.seconds for probe in member.sample.linearizable))


def _of_followers(view: LatencyView, slow: tuple[MemberView, ...], leader: MemberView) -> SlowPaths:
    nodes, pairs = [], []
    for follower in slow:
        others = [m.name for m in view.answering if m.name not in {follower.name, view.leader}]
        fast = [name for name in others if _is_good(round_trip(view, follower.name, name))]
        observed = round_trip(view, follower.name, view.leader)
        slow_to_leader = not isinstance(observed, Unknown) and observed > thresholds.RTT_SLOW_SECONDS
        if fast and slow_to_leader:
            pairs.append((leader, follower))
        else:
            nodes.append(follower)
    return SlowPaths(nodes=tuple(nodes), pairs=tuple(pairs))


def _node(view: LatencyView, node: MemberView, follows: tuple[str, ...]) -> Finding:
    leads = node.name in {view.leader, view.first_leader}
    hurts = "writes and linearizable reads wait for it everywhere" if leads else "only its own clients wait"
    return Finding(
        severity=Severity.CRITICAL if leads else Severity.WARNING,
        verdict="network-node",
        subject=node.name,
        sentence=f"the network of {'the leader ' if leads else ''}{node.name} is slow or loses packets: {hurts}",
        evidence=(
            *(reads_row(member, linearizable=True) for member in view.answering if not member.is_learner),
            reads_row(node, linearizable=False),
            *_round_trip_rows(view, node),
        ),
        follows=follows,
        refuted_by=f"no retransmitted segments on {node.name}'s connections to its peers (ss -ti, port 2380)",
    )


def _pair(view: LatencyView, pair: tuple[MemberView, MemberView], follows: tuple[str, ...]) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        verdict="network-pair",
        subject=names(pair),
        sentence=f"the path between {names(pair)} is slow or loses packets",
        evidence=(
            *(reads_row(member, linearizable=True) for member in pair),
            *_round_trip_rows(view, pair[1]),
        ),
        follows=follows,
        refuted_by="no retransmitted segments between the two (ss -ti, port 2380)",
    )


def _round_trip_rows(view: LatencyView, node: MemberView) -> tuple[Evidence, ...]:
    return tuple(
        Evidence(
            what=f"round trip {node.name} to {other.name} and back",
            value=shown(round_trip(view, node.name, other.name)),
            threshold=f"slow: over {shown(thresholds.RTT_SLOW_SECONDS)}",
            source="etcd_network_peer_round_trip_time_seconds",
        )
        for other in view.members
        if other.name != node.name
    )


def _round_trip_notes(view: LatencyView, paths: SlowPaths) -> tuple[Finding, ...]:
    pairs = [
        (one.name, other.name, rtt)
        for one, other in itertools.combinations(view.answering, 2)
        if not isinstance(rtt := round_trip(view, one.name, other.name), Unknown)
        and rtt > thresholds.RTT_SLOW_SECONDS
        and not {one.name, other.name} & set(paths.members)
    ]
    return tuple(
        Finding(
            severity=Severity.NOTE,
            sentence=f"the round trip between {one} and {other} takes {shown(rtt)}, averaged over half a minute",
        )
        for one, other, rtt in pairs
    )
