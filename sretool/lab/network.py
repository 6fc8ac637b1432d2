"""Packet loss on loopback: nftables rules, in one table per lab and member, so that undoing is one delete."""

import os
import shutil
import subprocess

from sretool.errors import RefusedError
from sretool.lab.loopback import BEHIND_PROXY_PORT, PEER_PORT

_SECONDS = 10.0
_RESOLUTION = 10_000


def require_packet_rules() -> None:
    """Raise RefusedError unless packet rules can be set here."""
    if _nft_path() is None:
        raise RefusedError(
            "dropping packets needs nft, which is not in PATH", then="apt-get install nftables"
        )
    answer = _nft("list", "tables")
    if answer.returncode != 0:
        raise RefusedError(f"dropping packets needs root: nft says {answer.stderr.strip().splitlines()[:1]}")


def drop_packets(table: str, *, address: str, percent: float, proxied: bool) -> None:
    """Drop that share of the packets of a member's peer port, both ways.

    With a proxy the packets between proxy and server are dropped, and those the member sends as a client
    as well: only there does its address tell who dialled. At the input hook, because a packet that is
    dropped on its way out is reported to the sender, which then repeats it at once.
    """
    port = BEHIND_PROXY_PORT if proxied else PEER_PORT
    share = round(percent * _RESOLUTION / 100)
    drop = f"numgen random mod {_RESOLUTION} < {share} drop" if share < _RESOLUTION else "drop"
    matches = [f"ip daddr {address} tcp dport {port}", f"ip saddr {address} tcp sport {port}"]
    if proxied:
        matches += [f"ip saddr {address} tcp dport {port}", f"ip daddr {address} tcp sport {port}"]
    rules = "\n".join(f"    {match} {drop}" for match in matches)
    script = (
        f"add table ip {table}\ndelete table ip {table}\n"
        f"table ip {table} {{\n  chain input {{\n    type filter hook input priority 0;\n{rules}\n  }}\n}}\n"
    )
    answer = _nft("-f", "-", stdin=script)
    if answer.returncode != 0:
        raise RefusedError(f"nft does not take the rules: {answer.stderr.strip()}")


def packet_table(block: int, member: str) -> str:
    """Return the name of the nftables table for this lab and member."""
    return f"sretool_lab_{block}_{member}"


def remove_packet_rules(block: int, member: str = "") -> None:
    """Remove the lab's packet rules, all or those of one member; nothing to do is fine."""
    if _nft_path() is None:
        return
    wanted = packet_table(block, member)
    for line in _nft("list", "tables", "ip").stdout.splitlines():
        name = line.split()[-1]
        if name == wanted or (not member and name.startswith(wanted)):
            answer = _nft("delete", "table", "ip", name)
            if answer.returncode != 0:
                raise RefusedError(f"nft does not remove {name}: {answer.stderr.strip()}")


def _nft_path() -> str | None:
    # /usr/sbin is not in every person's PATH.
    return shutil.which("nft", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


def _nft(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [_nft_path() or "nft", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RefusedError(f"nft does not work: {error}") from error
