"""What a lab is: its specification, where it lives on disk, and the addresses of its members."""

import re
from pathlib import Path

import msgspec

from sretool.errors import UsageError
from sretool.folders import cache_folder, config_folder, state_folder

RELEASES = {"3.5": "3.5.35", "3.6": "3.6.16", "3.7": "3.7.3"}
"""The etcd release that stands for each minor version; its module is under `modules/`."""

_MOST_NODES = 1000
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


class LabSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What to start. `etcd` is the path of a binary and outranks `version`; `quota_bytes` 0 is etcd's own.

    `flags` are handed to every etcd member as they are. With `peer_proxy` a small TCP proxy stands before
    each member's peer port, so that its peer traffic can be delayed. With `kubernetes` an API server,
    controller-manager and scheduler use this etcd, and `nodes` Node objects are Ready without a kubelet.
    """

    name: str = "lab"
    members: int = 3
    version: str = "3.6"
    etcd: str = ""
    quota_bytes: int = 0
    peer_proxy: bool = False
    flags: tuple[str, ...] = ()
    kubernetes: bool = False
    nodes: int = 0


class LabMember(msgspec.Struct, frozen=True, kw_only=True):
    """One etcd member of a lab; `pid` is 0 while no process of it runs."""

    name: str
    address: str
    client_url: str
    peer_url: str
    metrics_url: str
    data_dir: Path
    log_path: Path
    pid: int = 0


class LabComponent(msgspec.Struct, frozen=True, kw_only=True):
    """One program of a lab's Kubernetes control plane; `health` is the path that says 200 when it works."""

    name: str
    address: str
    port: int
    health: str
    log_path: Path

    @property
    def url(self) -> str:
        """Where it listens, with TLS."""
        return f"https://{self.address}:{self.port}"


class LabHome(msgspec.Struct, frozen=True, kw_only=True):
    """The three folders a lab uses: state (labs), config (cluster entries), cache (built binaries)."""

    state: Path
    config: Path
    cache: Path

    @classmethod
    def of_user(cls) -> "LabHome":
        """Return the XDG folders of the person who runs sretool."""
        return cls(state=state_folder(), config=config_folder(), cache=cache_folder())

    def lab_dir(self, name: str) -> Path:
        """Return the folder that holds everything of the lab `name`."""
        return self.state / "labs" / name

    def cluster_file(self, name: str) -> Path:
        """Return the cluster entry by which the rest of sretool finds the lab `name`."""
        return self.config / "clusters" / f"{name}.yaml"


def check_name(name: str) -> None:
    """Raise UsageError unless `name` can name a lab (and its folder, cluster and nftables tables)."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a lab", then="use a-z, 0-9 and -, a letter first, at most 31 characters"
        )


def check_spec(spec: LabSpec) -> None:
    """Raise UsageError unless a lab can be started from `spec`."""
    check_name(spec.name)
    if spec.members not in (1, 3, 5):
        raise UsageError(f"a lab has 1, 3 or 5 members, not {spec.members}")
    if not spec.etcd and spec.version not in RELEASES:
        raise UsageError(
            f"the lab has no etcd {spec.version}",
            then=f"choose {', '.join(RELEASES)}, or hand over a binary with --etcd PATH",
        )
    if spec.quota_bytes < 0:
        raise UsageError(f"a quota of {spec.quota_bytes} bytes is not possible")
    if not 0 <= spec.nodes <= _MOST_NODES:
        raise UsageError(f"a lab has 0 to {_MOST_NODES} nodes, not {spec.nodes}")
    if spec.nodes and not spec.kubernetes:
        raise UsageError("nodes are objects of Kubernetes", then="add --kubernetes")
