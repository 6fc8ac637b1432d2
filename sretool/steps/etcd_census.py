"""The step etcd.census: which keys fill etcd?"""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from sretool.cluster import ClusterReader
from sretool.cluster.census import take_census
from sretool.knowledge import causes
from sretool.knowledge.census import EVENT_FLOOD, Census, Group, is_event_flood
from sretool.knowledge.space import bytes_text
from sretool.model import Change, Evidence, Finding, Known, Proposal, Risk, Severity, Unknown
from sretool.step import Duration, Step

TOP = 10


class EtcdCensusParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How deep to look, and where."""

    depth: Annotated[
        Literal["counts", "sampled"],
        msgspec.Meta(description="counts: key names only; sampled: also a few values, to estimate bytes"),
    ] = "counts"
    prefix: Annotated[str, msgspec.Meta(description="count keys under this prefix only; empty: all keys")] = (
        ""
    )
    within: Annotated[
        Duration, msgspec.Meta(description="stop after this time and say that the census is unfinished")
    ] = Duration.parse("60s")


class EtcdCensusFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted. Totals are unknown when the census did not finish."""

    keys: Known[int]
    events: Known[int]
    revision: int
    top_resources: tuple[str, ...]
    census: Census


class EtcdCensus(Step[EtcdCensusParams, EtcdCensusFacts]):
    """Count etcd's keys by resource and namespace, exactly, and estimate the bytes of each resource.

    Reads the names of all keys in pages of 10,000 at one revision from one member, a follower if one answers,
    without consensus: it works without a quorum and does not disturb the leader. Needs no API server and
    little memory however many keys there are; very many small groups are folded into one line.
    `depth: sampled` also reads up to 12 values of each of the 40 largest resources (at most 32 MiB in all);
    bytes are an estimate from these, without the history that a compaction would drop.

    Keys below `/registry/` are read as Kubernetes lays them out; any other layout by the first two parts of
    the path. Changes nothing and refuses nothing.
    """

    uses = "etcd.census"
    risk = Risk.READ
    causes = causes.CENSUS
    reads_by_hand = (
        (
            "etcdctl --endpoints={endpoint} get '' --prefix --keys-only | "
            "awk -F/ 'NF {{ n[$3]++ }} END {{ for (k in n) print n[k], k }}'"
        ),
    )

    def look(self, read: ClusterReader, params: EtcdCensusParams) -> EtcdCensusFacts:
        census = take_census(
            read.etcd,
            params.prefix.encode(),
            sampled=params.depth == "sampled",
            within_seconds=params.within,
        )
        unfinished = Unknown(f"the census is unfinished: {census.unfinished}") if census.unfinished else None
        return EtcdCensusFacts(
            keys=unfinished or census.keys,
            events=unfinished or census.events,
            revision=census.revision,
            top_resources=tuple(group.resource for group in census.resources[:TOP]),
            census=census,
        )

    def plan(self, params: EtcdCensusParams, facts: EtcdCensusFacts, earlier: Sequence[Change]) -> Proposal:
        census = facts.census
        found = [
            Finding(
                severity=Severity.NOTE,
                sentence=_sentence(census),
                evidence=_rows(census),
            )
        ]
        if census.unfinished:
            found.append(
                Finding(severity=Severity.WARNING, sentence=f"the census {census.unfinished}", blind=True)
            )
        if is_event_flood(census):
            where = [group for group in census.namespaces if group.resource == "events"][:3]
            found.append(
                Finding(
                    severity=Severity.WARNING,
                    sentence=f"{census.events} events are stored, most of them in "
                    f"{', '.join(f'{group.namespace} ({group.keys})' for group in where)}",
                    verdict="event-flood",
                    evidence=(
                        Evidence(
                            what="events",
                            value=str(census.events),
                            threshold=str(EVENT_FLOOD),
                            source="census",
                        ),
                    ),
                )
            )
        return Proposal(findings=tuple(found))


def _rows(census: Census) -> tuple[Evidence, ...]:
    rows = [_row(group) for group in census.resources[:TOP]]
    rows += [_row(group) for group in [pair for pair in census.namespaces if pair.namespace][:TOP]]
    if census.folded:
        rows.append(
            Evidence(what="in groups too small to list", value=f"{census.folded} keys", source="census")
        )
    return tuple(rows)


def _row(group: Group) -> Evidence:
    estimated = not isinstance(group.estimated_bytes, Unknown)
    return Evidence(
        what=f"{group.resource} in {group.namespace}" if group.namespace else group.resource,
        value=f"{group.keys} keys" + (f", {bytes_text(group.estimated_bytes)}" if estimated else ""),
        source="counted" + (", bytes estimated from samples" if estimated else ""),
    )


def _sentence(census: Census) -> str:
    largest = ", ".join(f"{group.resource} ({group.keys})" for group in census.resources[:3])
    counted = f"{census.keys} keys{' so far' if census.unfinished else ''}"
    return f"{counted}, most of them {largest}" if largest else counted
