"""The one Lease that sretool writes: taken, renewed by a thread, and given back. It writes nothing else."""

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from sretool.clock import Clock
from sretool.errors import ConflictError, NoAnswerError, NotFoundError, RemoteError
from sretool.knowledge.lease_lock import COLLECTION, PATH, Claim, HeldLease, lease_body, parse_held

if TYPE_CHECKING:
    from sretool.cluster.kubernetes_connection import KubernetesConnection

CALL_SECONDS = 3.0  # a lock that takes longer to have is not worth it: the API server is overloaded
RENEWALS = 3  # in the time for which it is held
RETRY_SECONDS = 1.0


_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PID_NAMESPACE = Path("/proc/self/ns/pid")


def this_process() -> str:
    """Return what names us on all machines: boot, pid namespace and pid; empty where that is not known."""
    try:
        boot = _BOOT_ID.read_text(encoding="ascii").strip()
        return f"{boot} {_PID_NAMESPACE.readlink()} {os.getpid()}"
    except OSError:
        return ""


def has_ended(named: str) -> bool:
    """Tell whether the process that `this_process` named ran on this machine, in this boot, and is gone."""
    where, _, pid = named.rpartition(" ")
    if not where or where != this_process().rpartition(" ")[0] or not pid.isdigit():
        return False
    return not Path(f"/proc/{pid}").exists()


def is_free(held: HeldLease, claim: Claim) -> bool:
    """Tell whether `claim` may take what is `held`: it has run out, is ours, or its holder here has ended."""
    return held.is_free_for(claim, has_ended=has_ended(held.written_by))


class ClusterLease:
    """The Lease of one cluster, for one execution. Safe to ask from several threads."""

    def __init__(self, connection: "KubernetesConnection", clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._guard = threading.Lock()
        self._ended = threading.Event()
        self._renewer: threading.Thread | None = None
        self._held: HeldLease | None = None
        self._claim: Claim | None = None
        self._seconds = 0
        self._since = clock.now()
        self._renewed = 0.0
        self._lost = ""
        self._failure = ""

    @property
    def is_held(self) -> bool:
        """Whether it was taken and not given back; it may have been lost since: see `problem`."""
        return self._held is not None

    def find(self) -> HeldLease | None:
        """Return the Lease as it is now, None when there is none; RemoteError when it cannot be read."""
        found = self._connection.reads.find(PATH, timeout_seconds=CALL_SECONDS)
        return None if found is None else parse_held(found, now=self._clock.now())

    def rehearse(self, claim: Claim) -> None:
        """Ask the API server, by a dry run that stores nothing, whether it could be taken; RemoteError: no."""
        over = self.find()
        now = self._clock.now()
        body = lease_body(claim, seconds=1, now=now, since=now, over=over)
        method, path = ("POST", COLLECTION) if over is None else ("PUT", PATH)
        self._connection.reads.dry_run(method, path, body, timeout_seconds=CALL_SECONDS)

    def hold(self, claim: Claim, seconds: int) -> HeldLease | None:
        """Take it, or hold it longer; return whose it is when that is somebody else.

        RemoteError when it cannot be had; then nothing of ours is left behind, or only what ends by itself.
        """
        with self._guard:
            if self._held is not None:
                if seconds > self._seconds and not self._lost:
                    self._seconds = seconds
                    self._renew()
                return None
            over = self.find()
            if over is not None and not is_free(over, claim):
                return over
            self._claim, self._seconds, self._since = claim, seconds, self._clock.now()
            try:
                self._held = self._write(claim, over)
            except (ConflictError, NoAnswerError) as error:
                return self._settle(claim, error)
            self._start()
            return None

    def problem(self) -> tuple[str, bool]:
        """Return what is wrong with a lock that was taken, and whether that is final; empty: it is held."""
        with self._guard:
            if self._held is None:
                return "", False
            if self._lost:
                return self._lost, True
            silent = self._clock.monotonic() - self._renewed
            if silent < self._seconds:
                return "", False
            return f"it was not renewed for {silent:.0f} s: {self._failure}", False

    def release(self) -> None:
        """Give it back. What cannot be given back ends by itself, after the time for which it was held."""
        self._ended.set()
        if self._renewer is not None:
            self._renewer.join(timeout=2 * CALL_SECONDS)
        with self._guard:
            held, self._held = self._held, None
            if held is None or self._lost:
                return
            try:
                self._connection.writes.delete(
                    PATH, uid=held.uid, resource_version=held.resource_version, timeout_seconds=CALL_SECONDS
                )
            except RemoteError:
                return

    def _settle(self, claim: Claim, error: RemoteError) -> HeldLease | None:
        """After an unclear answer, or when somebody was quicker: look whose it is."""
        now = self.find()
        if now is None:
            raise error
        if now.holder != claim.holder:
            return now
        self._held = now
        self._start()
        return None

    def _start(self) -> None:
        self._renewed, self._lost, self._failure = self._clock.monotonic(), "", ""
        self._ended = threading.Event()
        self._renewer = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._renewer.start()

    def _keep(self) -> None:
        pause = self._seconds / RENEWALS
        while not self._ended.wait(pause):
            with self._guard:
                if self._held is None or self._lost:
                    return
                self._renew()
                pause = RETRY_SECONDS if self._failure else self._seconds / RENEWALS

    def _renew(self) -> None:
        if self._claim is None:
            return
        asked = self._clock.monotonic()
        try:
            self._held = self._write(self._claim, self._held)
        except (ConflictError, NotFoundError):
            self._look_whose()
        except RemoteError as error:
            self._failure = error.message
        else:
            self._renewed, self._failure = asked, ""

    def _look_whose(self) -> None:
        """Somebody wrote it or removed it, or an answer to a renewal of ours was lost."""
        try:
            now = self.find()
        except RemoteError as error:
            self._failure = error.message
            return
        if now is not None and self._claim is not None and now.holder == self._claim.holder:
            self._held, self._failure = now, "a renewal was not confirmed"
        else:
            self._lost = f"{now.who} holds it now" if now else "somebody deleted it"

    def _write(self, claim: Claim, over: HeldLease | None) -> HeldLease:
        now = self._clock.now()
        body = lease_body(claim, seconds=self._seconds, now=now, since=self._since, over=over)
        writes = self._connection.writes
        found = (
            writes.post(COLLECTION, body, timeout_seconds=CALL_SECONDS)
            if over is None
            else writes.put(PATH, body, timeout_seconds=CALL_SECONDS)
        )
        return parse_held(found, now=now)
