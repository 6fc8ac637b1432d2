"""Where runbooks are found: those shipped with sretool, the folders in SRETOOL_RUNBOOKS, any path."""

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
    if _is_path(name_or_path):
        return read_file(Path(name_or_path)), name_or_path
    known = dict(reversed(list_runbooks()))
    origin = known.get(name_or_path)
    if origin is None:
        raise UsageError(
            f"there is no runbook {name_or_path!r}{suggest(name_or_path, known)}{_missing_folders()}",
            then="sretool runbook lists them; a file is given by its path, such as ./mine.yaml",
        )
    return read_file(Path(origin)), origin


def list_runbooks() -> tuple[tuple[str, str], ...]:
    """Return name and path of every runbook that a name finds, sorted within each folder.

    Of two with one name the first is used.
    """
    return tuple(
        (path.stem, str(path))
        for folder in _folders()
        for path in sorted(_files(folder))
        if _NAME.fullmatch(path.stem)
    )


def _is_path(text: str) -> bool:
    return os.sep in text or text.endswith((".yaml", ".yml"))


def _folders() -> Iterator[Path]:
    shipped = _PACKAGE / "shipped" / "runbooks"
    yield shipped if shipped.is_dir() else _PACKAGE.parent / "runbooks"
    yield from _own_folders()


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
