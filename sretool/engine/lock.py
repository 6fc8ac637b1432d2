"""One run at a time may write to a cluster: a lock on this machine that the kernel frees when we die."""

import fcntl
import getpass
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from sretool.clock import Clock
from sretool.cluster.lease import ClusterLease, is_free, this_process
from sretool.engine.journal import read_journal
from sretool.errors import LockHeldError, RemoteError, StateError
from sretool.knowledge.lease_lock import CLEAR, NAME, NAMESPACE, Claim, HeldLease
from sretool.model import Identity

LEVEL = "this machine (flock): runs on other machines are not seen"
SHARED_LEVEL = f"every machine (Lease {NAMESPACE}/{NAME}), beside flock on this one"


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a lock: written into it, so that a refusal can name them."""

    pid: int
    host: str
    user: str
    run_id: str
    run_folder: str


class ClusterLock:
    """`flock` on `$XDG_STATE_HOME/sretool/locks/ETCD-CLUSTER-ID.lock`: by identity, not by name.

    A run that was killed frees it at once: nothing ever has to be cleared by hand. Entering it also refuses where
    another machine holds the Lease, and leaving it gives back ours; taking that is a write, made with the first
    change (`SharedLock`).
    """

    def __init__(
        self,
        folder: Path,
        identity: Identity,
        *,
        run_id: str,
        run_folder: Path,
        clock: Clock,
        lease: ClusterLease | None = None,
    ) -> None:
        self._path = folder / f"{identity.etcd_cluster_id}.lock"
        self._holder = Holder(
            pid=os.getpid(),
            host=socket.gethostname(),
            user=user_name(),
            run_id=run_id,
            run_folder=str(run_folder),
        )
        self._clock = clock
        self._lease = lease
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        """Take the lock; LockHeldError names the holder, StateError when the file cannot be used."""
        self._lock_file()
        try:
            self._require_free_lease()
        except BaseException:
            self._unlock_file()
            raise
        return self

    def _lock_file(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self._path, flags, 0o600)
        except OSError as error:
            raise StateError(f"cannot use the lock {self._path}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 4096)
            os.close(descriptor)
            raise self._held(holder) from None
        try:
            os.ftruncate(descriptor, 0)
            os.write(descriptor, msgspec.json.encode(self._holder))
        except OSError as error:
            os.close(descriptor)
            raise StateError(f"cannot use the lock {self._path}: {error.strerror}") from error
        self._descriptor = descriptor

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lease is not None:
            self._lease.release()
        self._unlock_file()

    def _require_free_lease(self) -> None:
        if self._lease is None:
            return
        try:
            held = self._lease.find()
        except RemoteError:
            return  # the question says that other machines are not seen
        claim = claim_of(self._holder.run_id)
        if held is not None and not is_free(held, claim):
            raise held_elsewhere(held)

    def _unlock_file(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)  # frees the lock; the file stays, or two runs could lock two files
            self._descriptor = None

    def _held(self, content: bytes) -> LockHeldError:
        try:
            holder = msgspec.json.decode(content, type=Holder)
        except msgspec.DecodeError:
            return LockHeldError(f"another run holds {self._path} and is just beginning", then="try again")
        return LockHeldError(
            f"run {holder.run_id} is at work on this cluster: pid {holder.pid} on {holder.host}, "
            f"user {holder.user}{self._last_record(holder)}",
            then=f"wait for it, or interrupt it with `kill -INT {holder.pid}`: it ends cleanly and frees the lock",
        )

    def _last_record(self, holder: Holder) -> str:
        try:
            last = read_journal(Path(holder.run_folder))[-1]
        except (StateError, IndexError):
            return ""
        age = (self._clock.now() - last.at).total_seconds()
        return f"; its last record is «{last.kind}», {age:.0f} s ago"


def claim_of(run_id: str) -> Claim:
    """Return who this process is when it takes the Lease for that run."""
    return Claim(
        run_id=run_id,
        user=user_name(),
        host=socket.gethostname(),
        pid=os.getpid(),
        written_by=this_process(),
    )


def held_elsewhere(held: HeldLease) -> LockHeldError:
    """Return the refusal where somebody else holds the Lease: who, since when, and how to clear it."""
    age = "never renewed" if held.age_seconds is None else f"renewed {held.age_seconds:.0f} s ago"
    return LockHeldError(
        f"another sretool is at work on this cluster: {held.who}; it holds the Lease {NAMESPACE}/{NAME}, {age}, "
        f"for {held.seconds} s",
        then=f"wait for it, or interrupt it there with `kill -INT` and its pid; when it is dead its Lease ends "
        f"{held.seconds} s after the last renewal, or at once with `{CLEAR}`",
    )


def find_holder(folder: Path, identity: Identity) -> Holder | None:
    """Return which run of this machine is at work on the cluster, None when there is none.

    It only looks: a lock taken for a moment could refuse a run that begins in that moment.
    """
    try:
        content = (folder / f"{identity.etcd_cluster_id}.lock").read_bytes()
        holder = msgspec.json.decode(content, type=Holder)
    except (OSError, msgspec.DecodeError):
        return None
    return holder if is_alive(holder.pid) and not _has_ended(holder) else None


def is_alive(pid: int) -> bool:
    """Tell whether a process of this machine has that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's process
        return True
    return True


def _has_ended(holder: Holder) -> bool:
    try:
        return read_journal(Path(holder.run_folder))[-1].kind == "end"
    except (StateError, IndexError):
        return False


def user_name() -> str:
    """Return the login name, or the uid where the machine knows no name for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
