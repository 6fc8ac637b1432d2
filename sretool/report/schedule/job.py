"""What is to run when: the same for every scheduler."""

from collections.abc import Mapping

import msgspec

from sretool.cluster.inventory import ClusterEntry
from sretool.knowledge.rights import Right
from sretool.knowledge.stalls import defrag_deadline
from sretool.knowledge.window import Window

STATE_FOLDER = "/var/lib/sretool"
UNKNOWN_BYTES = 8 << 30  # the largest quota that etcd's documentation suggests
_SPARE_SECONDS = 60  # to observe the change, to journal it, and to end


class ScheduledJob(msgspec.Struct, frozen=True, kw_only=True):
    """A runbook of one cluster, its approval and its window.

    `largest_bytes` is the most that a member's database may take: it decides how long an interrupted change is
    waited for. `runbook_path` is absolute, and empty for one that is shipped with sretool.
    `rights` are what the runbook needs of the Kubernetes API.
    """

    runbook: str
    runbook_path: str = ""
    summary: str
    entry: ClusterEntry
    approve: str
    window: Window
    largest_bytes: int
    given: Mapping[str, str] = {}
    rights: tuple[Right, ...] = ()

    @property
    def name(self) -> str:
        """What its objects and units are called."""
        return f"sretool-{self.runbook}"

    @property
    def grace_seconds(self) -> int:
        """How long it is waited for after SIGTERM: longer than the longest defragmentation may take."""
        return int(defrag_deadline(self.largest_bytes)) + _SPARE_SECONDS

    @property
    def latest_start_seconds(self) -> int:
        """How late it may begin: a quarter of the window."""
        return self.window.seconds // 4

    @property
    def longest_seconds(self) -> int:
        """How long it may run so that it has ended, grace and all, when the window ends."""
        return self.window.seconds - self.latest_start_seconds - self.grace_seconds

    def command(self, program: str) -> list[str]:
        """Return the command that is run, the same for every scheduler."""
        params = [word for name, value in self.given.items() for word in ("-p", f"{name}={value}")]
        return [
            program,
            "runbook",
            self.runbook_path or self.runbook,
            *("--cluster", self.entry.cluster),
            *("--approve", self.approve),
            *("--window", str(self.window)),
            *params,
        ]
