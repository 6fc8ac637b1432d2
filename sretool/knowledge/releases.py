"""What is known of etcd releases that a person should hear: skew between members, age, security notices."""

from collections.abc import Sequence

from sretool.knowledge.hazards import BEFORE_SOUND, is_within
from sretool.knowledge.versions import Version, parse_version
from sretool.model import Evidence, Finding, Severity

# The first patch of each minor in which a notice is fixed (changelogs); a minor below all of them is affected.
_NOTICES: tuple[tuple[str, tuple[Version, ...]], ...] = (
    ("CVE-2026-33413 and CVE-2026-33343", ((3, 4, 42), (3, 5, 28), (3, 6, 9))),
    ("GHSA-6vch-q96h-7gc3 (TLS handshakes exhaust memory)", ((3, 5, 33), (3, 6, 14), (3, 7, 1))),
)


def release_findings(versions: Sequence[tuple[str, str]]) -> list[Finding]:
    """Return notes about the releases that the members run, given as (member, version)."""
    parsed = {text: version for _, text in versions if (version := parse_version(text))}
    found = _skew(versions, sorted(set(parsed.values())))
    for text, version in sorted(parsed.items()):
        running = ", ".join(name for name, one in versions if one == text)
        open_notices = [notice for notice, fixed in _NOTICES if _is_before(version, fixed)]
        if open_notices:
            found.append(
                Finding(
                    severity=Severity.NOTE,
                    sentence=f"etcd {text} ({running}) has security notices that later releases fix: "
                    f"{'; '.join(open_notices)}",
                    evidence=(Evidence(what="version", value=text, source="etcd changelogs"),),
                )
            )
        if is_within(version, BEFORE_SOUND):
            found.append(
                Finding(
                    severity=Severity.NOTE,
                    sentence=f"etcd {text} ({running}) is older than the first release of its line without known "
                    "bugs in what sretool may change",
                    evidence=(Evidence(what="version", value=text, source="etcd changelogs"),),
                )
            )
    return found


def _skew(versions: Sequence[tuple[str, str]], present: Sequence[Version]) -> list[Finding]:
    if len(present) < 2:
        return []
    lowest, highest = present[0], present[-1]
    # etcd supports one minor of difference, and that during an upgrade only.
    too_wide = lowest[0] != highest[0] or highest[1] - lowest[1] > 1
    told = ", ".join(f"{name} {version}" for name, version in versions)
    return [
        Finding(
            severity=Severity.WARNING if too_wide else Severity.NOTE,
            sentence=f"the members run different versions ({told}): {'unsupported' if too_wide else 'an upgrade?'}",
            verdict="version-skew" if too_wide else "",
        )
    ]


def _is_before(version: Version, fixed: Sequence[Version]) -> bool:
    for first in fixed:
        if first[:2] == version[:2]:
            return version < first
    return version < min(fixed)
