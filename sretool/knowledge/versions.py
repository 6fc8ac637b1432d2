"""etcd versions as comparable numbers."""

import functools
import re

Version = tuple[int, int, int]

_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")


@functools.lru_cache(maxsize=64)  # a guard asks for every change of a wave anew
def parse_version(text: str) -> Version | None:
    """Return (major, minor, patch) of `3.6.8`, `v3.5.0-rc.1`…; None when `text` is no version."""
    match = _VERSION.match(text)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


# AlarmList followed by a power cycle keeps these from starting again (etcd PR 14429, fixed in 3.5.5).
ALARM_LIST_SAFE: Version = (3, 5, 5)

# Status reports a quota from 3.6.0, a correct one from 3.6.6 (etcd PR 20790).
QUOTA_IN_STATUS: Version = (3, 6, 6)
