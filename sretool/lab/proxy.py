"""A TCP proxy before one member's peer port: it can delay that member's peer traffic, both ways.

Each connection between two members passes the proxy of the member that was dialled. The proxy asks the
kernel which member dialled, so that the delay of either end applies to both directions. It comes to the
server from the dialling member's own address: rules for packets can tell the members apart there.
"""

import contextlib
import queue
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from sretool.lab import processes
from sretool.lab.delays import FOLLOW_SECONDS, read_delays
from sretool.lab.loopback import BEHIND_PROXY_PORT, PEER_PORT

_CHUNK_BYTES = 1 << 16
_CHUNKS_IN_FLIGHT = 2048
_CONNECT_SECONDS = 2.0


class _Delays:
    """The delays that are in force, followed while the proxy runs."""

    def __init__(self, lab_dir: Path) -> None:
        self._lab_dir = lab_dir
        self._delays = read_delays(lab_dir)

    def follow(self) -> None:
        """Read the delays again and again, for ever."""
        while True:
            time.sleep(FOLLOW_SECONDS / 2)
            with contextlib.suppress(OSError, msgspec.DecodeError):
                self._delays = read_delays(self._lab_dir)

    def seconds(self, members: Sequence[str]) -> float:
        return sum(self._delays.get(member, 0) for member in members) / 1000


class _Dialler:
    """Finds the member that dialled a connection: its server holds the other end's socket."""

    def __init__(self, lab_dir: Path, addresses: Mapping[str, str]) -> None:
        self._lab_dir = lab_dir
        self._addresses = addresses
        self._servers: dict[str, int] = {}

    def find(self, near: tuple[str, int], far: tuple[str, int]) -> str | None:
        """Return the member whose socket goes from `far` to `near`; None when it is none of them."""
        inode = _inode(local=far, remote=near)
        if inode is None:
            return None
        member = self._holder(inode)
        if member is None:  # a server was started again since the last look
            running = processes.find(self._lab_dir)
            self._servers = {one.role: one.pid for one in running if one.role in self._addresses}
            member = self._holder(inode)
        return member

    def _holder(self, inode: str) -> str | None:
        wanted = f"socket:[{inode}]"
        for member, pid in self._servers.items():
            with contextlib.suppress(OSError):
                if any(_link(descriptor) == wanted for descriptor in Path(f"/proc/{pid}/fd").iterdir()):
                    return member
        return None


def _link(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:
        return ""  # closed meanwhile


def _inode(*, local: tuple[str, int], remote: tuple[str, int]) -> str | None:
    """Return the inode of a TCP socket as /proc/net/tcp tells it (proc_pid_net(5))."""
    ends = [_hex(local), _hex(remote)]
    with Path("/proc/net/tcp").open(encoding="ascii") as table:
        for line in table:
            fields = line.split()
            if fields[1:3] == ends:
                return fields[9]
    return None


def _hex(end: tuple[str, int]) -> str:
    number = int.from_bytes(socket.inet_aton(end[0]), sys.byteorder)
    return f"{number:08X}:{end[1]:04X}"


def _serve(lab_dir: Path, member: str, addresses: Mapping[str, str]) -> None:
    delays = _Delays(lab_dir)
    dialler = _Dialler(lab_dir, addresses)
    here = addresses[member]
    listener = socket.create_server((here, PEER_PORT), backlog=128)
    threading.Thread(target=delays.follow, daemon=True).start()
    while True:
        far, end = listener.accept()
        dialled_by = dialler.find((here, PEER_PORT), end)
        source = addresses[dialled_by] if dialled_by else "127.0.0.1"
        try:
            near = socket.create_connection(
                (here, BEHIND_PROXY_PORT), timeout=_CONNECT_SECONDS, source_address=(source, 0)
            )
        except OSError:
            far.close()  # the member is down: its peers see the end of the connection
            continue
        _join(far, near, delays, (member, dialled_by) if dialled_by else (member,))


def _join(far: socket.socket, near: socket.socket, delays: _Delays, members: Sequence[str]) -> None:
    def delay() -> float:
        return delays.seconds(members)

    for end in (near, far):
        end.settimeout(None)
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    _Direction(far, near, delay).start()
    _Direction(near, far, delay).start()


class _Direction:
    """Carries one direction: each piece leaves when its time has come, in order, and reading never waits."""

    def __init__(self, source: socket.socket, sink: socket.socket, delay: Callable[[], float]) -> None:
        self._source = source
        self._sink = sink
        self._delay = delay
        self._pieces: queue.Queue[tuple[float, bytes]] = queue.Queue(_CHUNKS_IN_FLIGHT)

    def start(self) -> None:
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._write, daemon=True).start()

    def _read(self) -> None:
        piece = b"-"
        while piece:
            try:
                piece = self._source.recv(_CHUNK_BYTES)
            except OSError:
                piece = b""
            self._pieces.put((time.monotonic() + self._delay(), piece))

    def _write(self) -> None:
        piece = b"-"
        while piece:
            due, piece = self._pieces.get()
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                if piece:
                    self._sink.sendall(piece)
                else:
                    self._sink.shutdown(socket.SHUT_WR)
            except OSError:
                # Goes on emptying the queue until the reader has seen the end.
                _abort(self._source)


def _abort(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _main(arguments: Sequence[str]) -> None:
    lab_dir, member, *addresses = arguments
    threading.stack_size(256 * 1024)
    _serve(Path(lab_dir), member, dict(one.split("=", 1) for one in addresses))


if __name__ == "__main__":
    _main(sys.argv[1:])
