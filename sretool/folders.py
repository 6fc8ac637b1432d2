"""sretool's folders on this machine, as XDG names them, and what makes a new name in one outlast a power cut."""

import os
from pathlib import Path


def state_folder() -> Path:
    """Return `$XDG_STATE_HOME/sretool` (runs, locks, snapshots, labs), whether it exists or not."""
    return _folder("XDG_STATE_HOME", ".local/state")


def config_folder() -> Path:
    """Return `$XDG_CONFIG_HOME/sretool` (cluster files), whether it exists or not."""
    return _folder("XDG_CONFIG_HOME", ".config")


def cache_folder() -> Path:
    """Return `$XDG_CACHE_HOME/sretool` (built binaries), whether it exists or not."""
    return _folder("XDG_CACHE_HOME", ".cache")


def sync_folder(folder: Path) -> None:
    """Write the names in `folder` to its disk: a file's own fsync does not. OSError when that fails."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _folder(variable: str, default: str) -> Path:
    given = os.environ.get(variable, "")
    # XDG: a path that is not absolute is to be ignored.
    base = Path(given) if Path(given).is_absolute() else _home() / default
    return base / "sretool"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # no HOME, and a user whom nobody knows: containers give such a one /
        return Path("/")
