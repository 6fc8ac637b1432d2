"""A loopback block of its own for each lab: 127.0.N.11 and up, claimed for the whole machine."""

import socket
import time
from collections.abc import Collection
from pathlib import Path

from sretool.errors import RefusedError

CLIENT_PORT = 2379
PEER_PORT = 2380
METRICS_PORT = 2381
BEHIND_PROXY_PORT = 2382
API_PORT = 6443
CONTROLLER_MANAGER_PORT = 10257
SCHEDULER_PORT = 10259
_KUBERNETES_PORTS = (API_PORT, CONTROLLER_MANAGER_PORT, SCHEDULER_PORT)
_PORTS = (CLIENT_PORT, PEER_PORT, METRICS_PORT, BEHIND_PROXY_PORT)
_BLOCKS = range(9, 250)
_LISTENERS = Path("/proc/net/tcp")
_LISTENS = "0A"
_EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - whoever listens there is in the way
_CLOSING_SECONDS = 15.0
_LOOK_SECONDS = 1.0  # another lab that looks for a free block claims each for a moment


def address(block: int, index: int) -> str:
    """Return the address of the member with this index (0 first), as 127.0.9.11."""
    return f"127.0.{block}.{11 + index}"


def kubernetes_address(block: int) -> str:
    """Return the address of the API server, controller-manager and scheduler, as 127.0.9.10."""
    return f"127.0.{block}.10"


def free_block(*, taken: Collection[int]) -> tuple[int, socket.socket]:
    """Return the lowest block that no lab claims and where every port is free, and its claim.

    RefusedError when there is none. The claim is kept until the servers have inherited it: a lab that starts
    at the same moment would choose the same block.
    """
    for block in _BLOCKS:
        claim = None if block in taken else claim_block(block)
        if claim is None:
            continue
        if _is_free(block):
            return block, claim
        claim.close()
    raise RefusedError(
        f"no free loopback block: something listens on the ports {_PORTS[0]}-{_PORTS[-1]} of every address",
        then="ss -ltnp | grep -E ':23(79|8[0-2])' names it; or end labs: sretool lab down --all",
    )


def claim_block(block: int) -> socket.socket | None:
    """Return a socket that claims the block as long as any process holds it; None when another claims it.

    Each server of a lab inherits it, so the claim lives as long as the last of them and needs no cleaning.
    An abstract unix socket belongs to the network namespace, as loopback addresses do.
    """
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0sretool-lab-127.0.{block}")
    except OSError:
        claim.close()
        return None
    return claim


def claim_again(block: int) -> socket.socket | None:
    """Return the claim of a lab's own block; None when another lab holds it for longer than a look takes."""
    ends = time.monotonic() + _LOOK_SECONDS
    while (claim := claim_block(block)) is None and time.monotonic() < ends:
        time.sleep(0.02)
    return claim


def _is_free(block: int) -> bool:
    """Tell whether nobody listens anywhere in the block: a member that was restarted holds no claim, and one that
    is down leaves its own address free while the others of its lab run.

    The kernel's table is read; binding to try would take the port from a member that starts at this moment.
    """
    mine = f"127.0.{block}."
    ports = (*_PORTS, *_KUBERNETES_PORTS)
    return not any(
        port in ports and (host.startswith(mine) or host == _EVERY_ADDRESS) for host, port in _listeners()
    )


def wait_until_closed(places: Collection[tuple[str, int]]) -> bool:
    """Wait until nobody listens at these addresses; False when somebody still does after some seconds.

    The ports of a killed server stay open until its last thread has ended, and it has no environment by
    which it could be found any more.
    """
    ends = time.monotonic() + _CLOSING_SECONDS
    while not _listeners().isdisjoint(places):
        if time.monotonic() > ends:
            return False
        time.sleep(0.02)
    return True


def _listeners() -> set[tuple[str, int]]:
    """Return the IPv4 address and port of every socket that listens on this machine."""
    found = set()
    for line in _LISTENERS.read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if fields[3] == _LISTENS:
            host, port = fields[1].split(":")
            found.add((socket.inet_ntoa(bytes.fromhex(host)[::-1]), int(port, 16)))
    return found
