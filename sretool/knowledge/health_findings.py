"""What stands between an etcd cluster and health, as findings."""

from collections.abc import Sequence

from sretool.knowledge.health import ClusterHealth, MemberRow, unstarted_sentence
from sretool.knowledge.membership import difference_sentence
from sretool.knowledge.quorum import LAG_CRITICAL, LAG_NOTICED
from sretool.knowledge.releases import release_findings
from sretool.knowledge.space import fragmentation_finding, quota_findings
from sretool.knowledge.words import show_bytes
from sretool.model import Evidence, Finding, Known, Member, MemberId, Severity, Silence, Unknown, known_only

CERTIFICATE_DAYS = 14.0

_WORDS = {
    Silence.DEAD: "is dead",
    Silence.FROZEN: "is frozen",
    Silence.DEFRAGMENTING: "is defragmenting",
    Silence.UNREACHABLE: "cannot be reached",
    Silence.TLS: "refuses our TLS connection",
    Silence.SLOW: "is too slow to answer",
}


def findings_of(health: ClusterHealth) -> tuple[Finding, ...]:
    """Return everything that is worth saying about `health`, causes and notes."""
    found = [
        *_quorum_findings(health),
        *_silent_findings(health),
        *_membership_findings(health),
        *_lag_findings(health.rows),
        *_compaction_findings(health),
        *_certificate_findings(health.certificate_days),
        *release_findings(
            [(r.name, r.status.version) for r in health.rows if not isinstance(r.status, Unknown)]
        ),
        *_blind_findings(health),
    ]
    used = known_only({row.name: row.quota_used for row in health.rows})
    quotas = known_only({row.name: row.quota_bytes for row in health.rows})
    sizes = [(row.name, row.status) for row in health.rows if not isinstance(row.status, Unknown)]
    fragmented = fragmentation_finding(sizes)
    return (*found, *quota_findings(used, quotas), *((fragmented,) if fragmented else ()))


def health_summary(health: ClusterHealth) -> Finding:
    """Return what was seen where nothing is wrong: who answers and leads, and how full the fullest member is."""
    words = [f"{len(health.statuses)} of {len(health.rows)} members answer"]
    if not isinstance(health.leader, Unknown):
        words[0] += f", led by {health.leader}"
    used = [
        (share, row.status.db_size_bytes, row.name)
        for row in health.rows
        if not isinstance(share := row.quota_used, Unknown) and not isinstance(row.status, Unknown)
    ]
    if used:
        share, size, name = max(used)
        words.append(f"the fullest, {name}, has {show_bytes(size)}, {share:.0%} of its quota")
    return Finding(severity=Severity.OK, sentence="; ".join(words))


def is_healthy(health: ClusterHealth) -> Known[bool]:
    """Tell whether every rule holds; unknown when nothing is seen wrong but something could not be read."""
    found = findings_of(health)
    if any(one.is_cause for one in found) or any(status.errors for status in health.statuses):
        return False
    blind = next((one.sentence for one in found if one.blind), "")
    return Unknown(blind) if blind else True


def _quorum_findings(health: ClusterHealth) -> list[Finding]:
    seen = Evidence(
        what="voters that answer or still vote",
        value=str(health.voters_alive),
        threshold=f"{health.quorum} of {health.voters}",
        source="Status of every member",
    )
    if health.is_quorum_lost:
        return [
            Finding(
                severity=Severity.CRITICAL,
                sentence=f"no quorum: {health.voters_alive} of {health.voters} voters answer, "
                f"{health.quorum} are needed; etcd serves neither writes nor linearizable reads",
                verdict="quorum-lost",
                evidence=(seen,),
            )
        ]
    if not any(status.leader for status in health.statuses):
        return [
            Finding(
                severity=Severity.CRITICAL,
                sentence="no leader: enough voters answer, and none of them knows a leader",
                verdict="no-leader",
                evidence=(seen,),
            )
        ]
    if health.disagreement:
        return [
            Finding(
                severity=Severity.CRITICAL,
                sentence=f"the members disagree, three times in a row: {health.disagreement}",
                verdict="disagreement",
            )
        ]
    return []


def _silent_findings(health: ClusterHealth) -> list[Finding]:
    """Return who does not answer; who is no member has nothing to start: the inventory differs, and says so."""
    margin = health.voters_alive - health.quorum
    left = (
        "no majority is left"
        if health.is_quorum_lost
        else "one more failure stops etcd"
        if margin <= 0
        else f"{margin} more may fail"
    )
    names = {row.name: health.name_in_words(row) for row in health.rows}
    return [
        Finding(
            severity=Severity.WARNING if row.silence is Silence.DEFRAGMENTING else Severity.CRITICAL,
            sentence=f"{names[row.name]} {_WORDS[row.silence]} ({row.why_silent}): {left}",
            verdict=f"member-{row.silence}",
            subject=row.name,
            evidence=(
                Evidence(
                    what=f"Status of {row.name}",
                    value="no answer",
                    threshold="1.2 s",
                    source=f"{row.endpoint}, then TCP and metrics",
                ),
            ),
        )
        for row in health.rows
        if row.silence is not None and row.name not in health.strangers
    ]


def _membership_findings(health: ClusterHealth) -> list[Finding]:
    if isinstance(health.member_list, Unknown):
        return []
    members = health.member_list.members
    found = [
        Finding(
            severity=Severity.WARNING,
            sentence=unstarted_sentence(member),
            verdict="member-unstarted",
            subject=str(MemberId(member.id)),
        )
        for member in members
        if not member.name
    ]
    found += [
        Finding(
            severity=Severity.NOTE,
            sentence=f"{member.name or member.peer_urls[0]} is a learner: it does not vote",
            subject=member.name,
        )
        for member in members
        if member.is_learner
    ]
    voters = {member.id for member in members if not member.is_learner}
    strangers = {status.leader for status in health.statuses if status.leader} - voters
    if strangers and not health.is_quorum_lost:
        named = ", ".join(str(MemberId(one)) for one in sorted(strangers))
        found.append(
            Finding(
                severity=Severity.CRITICAL,
                sentence=f"the leader that members name ({named}) is no voter of the member list",
                verdict="disagreement",
            )
        )
    return found + _inventory_findings(health.rows, members)


def _inventory_findings(rows: Sequence[MemberRow], members: Sequence[Member]) -> list[Finding]:
    sentence = difference_sentence(rows, members)
    if not sentence:
        return []
    return [Finding(severity=Severity.WARNING, sentence=sentence, verdict="inventory-differs")]


def _lag_findings(rows: Sequence[MemberRow]) -> list[Finding]:
    return [
        Finding(
            severity=Severity.CRITICAL if row.lag > LAG_CRITICAL else Severity.WARNING,
            sentence=f"{row.name} is {row.lag} raft entries behind the leader and not catching up",
            verdict="member-lagging",
            subject=row.name,
            evidence=(
                Evidence(
                    what="leader's raft index - applied index",
                    value=str(row.lag),
                    threshold=f"{LAG_NOTICED}, {LAG_CRITICAL} critical",
                    source="Status, lowest of three samples",
                ),
            ),
        )
        for row in rows
        if not isinstance(row.lag, Unknown) and row.lag > LAG_NOTICED
    ]


def _compaction_findings(health: ClusterHealth) -> list[Finding]:
    if health.compaction_stalled is not True:
        return []
    return [
        Finding(
            severity=Severity.WARNING,
            sentence="Kubernetes no longer compacts this etcd: its history grows",
            verdict="compaction-stalled",
            evidence=health.compaction_evidence,
        )
    ]


def _certificate_findings(days: Sequence[tuple[str, Known[float]]]) -> list[Finding]:
    return [
        Finding(
            severity=Severity.CRITICAL if left <= 0 else Severity.WARNING,
            sentence=f"{whose} certificate {'has expired' if left <= 0 else f'expires in {left:.0f} days'}",
            verdict="certificate-expiry",
            subject=whose,
            evidence=(
                Evidence(
                    what="days left",
                    value=f"{left:.1f}",
                    threshold=f"{CERTIFICATE_DAYS:g}",
                    source="the certificate",
                ),
            ),
        )
        for whose, left in days
        if not isinstance(left, Unknown) and left < CERTIFICATE_DAYS
    ]


def _blind_findings(health: ClusterHealth) -> list[Finding]:
    """Return what had to be read and was not. Without a quorum that is the answer, and nothing is missing."""
    if health.is_quorum_lost:
        return []
    rows = [row for row in health.rows if row.name not in health.strangers]
    silent = [row.name for row in rows if isinstance(row.status, Unknown)]
    answering = [row for row in rows if not isinstance(row.status, Unknown)]
    unread = [(row.name, row.metrics_unread) for row in answering if row.metrics_unread is not None]
    no_quota = [
        row.name for row in answering if not row.metrics_unread and isinstance(row.quota_bytes, Unknown)
    ]
    sentences = [f"the size, revision and version of {', '.join(silent)} could not be read"] if silent else []
    if no_quota:
        sentences.append(f"the quota of {', '.join(no_quota)} could not be read")
    if isinstance(health.member_list, Unknown):
        sentences.append(f"the member list could not be read: {health.member_list.reason}")
    if isinstance(health.compaction_stalled, Unknown) and not unread:
        sentences.append(f"whether compaction goes on could not be read: {health.compaction_stalled.reason}")
    told = [(sentence, "") for sentence in sentences]
    told += [(f"the metrics of {name} could not be read: {why.reason}", why.then) for name, why in unread]
    return [
        Finding(severity=Severity.WARNING, sentence=sentence, blind=True, then=then)
        for sentence, then in told
    ]
