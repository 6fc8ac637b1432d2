"""How long each member's peer traffic is delayed: one file per lab, which its proxies follow."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from sretool.lab.directory import write_whole
from sretool.lab.spec import LabMember

FOLLOW_SECONDS = 0.1
"""Within so many seconds the proxies follow what was written."""

_DELAYS = "delays.json"


def proxy_arguments(member: LabMember, members: Sequence[LabMember], lab_dir: Path) -> list[str]:
    """Return the command line of the proxy before `member`."""
    addresses = [f"{one.name}={one.address}" for one in members]
    return [sys.executable, "-P", "-m", "sretool.lab.proxy", str(lab_dir), member.name, *addresses]


def write_delays(lab_dir: Path, delays: Mapping[str, int]) -> None:
    """Tell the proxies the delay of each member in milliseconds; they follow within FOLLOW_SECONDS."""
    write_whole(lab_dir / _DELAYS, msgspec.json.encode(delays))


def read_delays(lab_dir: Path) -> dict[str, int]:
    """Return the delays in force, in milliseconds by member."""
    try:
        return msgspec.json.decode((lab_dir / _DELAYS).read_bytes(), type=dict[str, int])
    except FileNotFoundError:
        return {}
