"""Where runbooks and playbooks are found: those shipped with sretool, the folders in SRETOOL_RUNBOOKS, any path."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from sretool.documents import read_file, suggest
from sretool.errors import UsageError

_NAME = re.compile(r"[a-z][a-z0-9-]*")
_PACKAGE = Path(__file__).resolve().parents[1]


def find_runbook(name_or_path: str) -> tuple[str, str]:
    """Return a runbook's text and where it came from.

    A name is looked up in the shipped folder, then in each folder of SRETOOL_RUNBOOKS; what has a slash or
    ends in .yaml or .yml is a path. UsageError when there is none, DocumentError when it is no UTF-8 text.
    """
    return _find(name_or_path, "runbook", list_runbooks())


def find_playbook(name_or_path: str) -> tuple[str, str]:
    """Return a playbook's text and where it came from: as `find_runbook`, but only a shipped one has a name."""
    return _find(name_or_path, "playbook", list_playbooks())


def beside(origin: str, name_or_path: str) -> str:
    """Return a name as it is, and a path that stands in the file `origin` as seen from the working directory."""
    folder = os.path.dirname(origin)  # noqa: PTH120 - Path drops a leading ./, without which a path may be a name
    if not folder or not _is_path(name_or_path):
        return name_or_path
    return os.path.join(folder, name_or_path.removeprefix("./"))  # noqa: PTH118 - as above


def list_runbooks() -> tuple[tuple[str, str], ...]:
    """Return name and path of every runbook that a name finds, sorted within each folder.

    Of two with one name the first is used.
    """
    return tuple(found for folder in _folders() for found in _names(folder))


def is_shipped(origin: str) -> bool:
    """Tell whether what `find_runbook` returned is part of sretool."""
    return Path(origin).parent == _shipped("runbooks")


def list_playbooks() -> tuple[tuple[str, str], ...]:
    """Return name and path of every shipped playbook, sorted."""
    return tuple(_names(_shipped("playbooks")))


def _find(name_or_path: str, what: str, listed: tuple[tuple[str, str], ...]) -> tuple[str, str]:
    if _is_path(name_or_path):
        return read_file(Path(name_or_path), origin=name_or_path), name_or_path
    known = dict(reversed(listed))
    origin = known.get(name_or_path)
    if origin is None and what == "runbook" and name_or_path in dict(list_playbooks()):
        raise UsageError(f"{name_or_path} is a playbook, no runbook", then=f"sretool playbook {name_or_path}")
    if origin is None:
        raise UsageError(
            f"there is no {what} {name_or_path!r}{suggest(name_or_path, known)}{_missing_folders()}",
            then=f"sretool {what} lists them; a file is given by its path, such as ./mine.yaml",
        )
    return read_file(Path(origin)), origin


def _names(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(_files(folder)):
        if _NAME.fullmatch(path.stem):
            yield path.stem, str(path)


def _is_path(text: str) -> bool:
    return os.sep in text or text.endswith((".yaml", ".yml"))


def _folders() -> Iterator[Path]:
    yield _shipped("runbooks")
    yield from _own_folders()


def _shipped(kind: str) -> Path:
    shipped = _PACKAGE / "shipped" / kind
    return shipped if shipped.is_dir() else _PACKAGE.parent / kind


def _own_folders() -> Iterator[Path]:
    for folder in os.environ.get("SRETOOL_RUNBOOKS", "").split(os.pathsep):
        if folder:
            yield Path(os.path.expanduser(folder))  # noqa: PTH111 - Path's raises for an unknown user


def _files(folder: Path) -> Iterator[Path]:
    try:
        yield from (
            path for path in folder.iterdir() if path.suffix in (".yaml", ".yml") and not path.is_fifo()
        )
    except OSError:
        # A folder that is not there must not keep the others away; `find_runbook` names it.
        return


def _missing_folders() -> str:
    missing = [str(folder) for folder in _own_folders() if not folder.is_dir()]
    return f"; SRETOOL_RUNBOOKS names {', '.join(missing)}, which is no folder" if missing else ""
