"""What was found on one path to a cluster, and what to do about it."""

import msgspec


class PathCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One path to one thing.

    `state` is ok, MISSING (it is not set up), UNTRIED, WARNING or FAILED (it does not work).
    """

    where: str
    path: str
    state: str
    found: str
    then: str = ""


def passed(where: str, path: str, found: str) -> PathCheck:
    """Return a path that works."""
    return PathCheck(where=where, path=path, state="ok", found=found)


def failed(where: str, path: str, found: str, then: str) -> PathCheck:
    """Return a path that is set up and does not work."""
    return PathCheck(where=where, path=path, state="FAILED", found=found, then=then)


def missing(where: str, path: str, found: str, then: str) -> PathCheck:
    """Return a path that is not set up."""
    return PathCheck(where=where, path=path, state="MISSING", found=found, then=then)


def warned(where: str, path: str, found: str, then: str) -> PathCheck:
    """Return a path that works, and will not for ever, or not for everybody."""
    return PathCheck(where=where, path=path, state="WARNING", found=found, then=then)


def untried(where: str, path: str, found: str) -> PathCheck:
    """Return what cannot be tried without changing something."""
    return PathCheck(where=where, path=path, state="UNTRIED", found=found)
