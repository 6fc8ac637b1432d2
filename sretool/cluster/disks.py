"""Free space on file systems that this machine can see: a member's, and the one where snapshots go."""

import os
from pathlib import Path

from sretool.cluster.inventory import InventoryMember
from sretool.model import DiskSpace, Known, Unknown


def read_disk(member: InventoryMember) -> Known[DiskSpace]:
    """Return free space on the file system of the member's data directory, where this machine can see it."""
    if not member.data_dir:
        return Unknown(f"the inventory names no data_dir for {member.name}, and no other path leads there")
    try:
        space = os.statvfs(Path(member.data_dir) / "member")  # a mount point may be bare: etcd's own folder
    except OSError as error:
        return Unknown(f"{member.data_dir} on this machine: {error.strerror}")
    return DiskSpace(free_bytes=space.f_bavail * space.f_frsize, source=f"statvfs {member.data_dir}")


def free_bytes(folder: Path) -> Known[int]:
    """Return the free space where `folder` is, or will be made."""
    there = next((one for one in (folder, *folder.parents) if one.exists()), folder)
    try:
        space = os.statvfs(there)
    except OSError as error:
        return Unknown(f"free space of {there}: {error.strerror}")
    return space.f_bavail * space.f_frsize
