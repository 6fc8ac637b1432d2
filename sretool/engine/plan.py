"""A plan: what one run would change, in order; how it is saved, and what a fresh look may still do under it."""

import datetime
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from sretool.engine.journal import plain_number
from sretool.errors import StalePlanError, StateError, UsageError
from sretool.model import Change, Finding, Held, Identity, Risk
from sretool.runbook.library import list_runbooks

FORMAT = 1
MAX_AGE_SECONDS = 3600.0
MAX_BYTES = 64 << 20
_ANOTHER = "make one: sretool runbook NAME --save FILE"
_SAVABLE = "give --save a file in a folder that can be written"


class Skipped(msgspec.Struct, frozen=True, kw_only=True):
    """A step that was not looked at, and why."""

    step: str
    uses: str
    reason: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One runbook's look at one cluster and what it would do. `text` is the exact runbook."""

    runbook: str
    text: str
    origin: str
    params: Mapping[str, str]  # as given with -p, not defaults
    cluster: str
    identity: Identity
    made_at: Annotated[datetime.datetime, msgspec.Meta(tz=True)]
    changes: tuple[Change, ...] = ()
    findings: tuple[Finding, ...] = ()
    held: tuple[Held, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    format: int = FORMAT

    @property
    def risk(self) -> Risk:
        """Return the highest risk of the changes; READ when there are none."""
        return max((change.risk for change in self.changes), default=Risk.READ)

    @property
    def writes(self) -> tuple[Change, ...]:
        """Return the changes that touch the cluster (a snapshot does not)."""
        return tuple(change for change in self.changes if change.risk > Risk.READ)

    @property
    def command(self) -> str:
        """Return the command that looks again in the same way: same runbook, same parameters."""
        is_found_by_name = dict(reversed(list_runbooks())).get(self.runbook) == self.origin
        words = ["sretool", "runbook", self.runbook if is_found_by_name else self.origin]
        for name, value in self.params.items():
            words += ["-p", f"{name}={value}"]
        return shlex.join([*words, "--cluster", self.cluster])

    @property
    def stalls(self) -> Mapping[str, float]:
        """Return the predicted stall of each member, in seconds, summed over the plan."""
        total: dict[str, float] = {}
        for change in self.changes:
            for member, seconds in change.cost.stalls.items():
                total[member] = total.get(member, 0.0) + seconds
        return total


def uncovered(fresh: Sequence[Change], approved: Sequence[Change]) -> tuple[str, ...]:
    """Return what `fresh` would do beyond `approved`, one sentence each; empty when it is covered.

    A change is covered when its key was approved and its bounds lie within: the plan may shrink, never grow.
    """
    by_key = {change.key: change for change in approved}
    beyond = []
    for change in fresh:
        if change.key not in by_key:
            beyond.append(f"{change.verb} {change.label} was not approved")
            continue
        wider = _wider(change.bounds, by_key[change.key].bounds)
        if wider:
            beyond.append(f"{change.verb} {change.label}: {wider}")
        if change.risk > by_key[change.key].risk:
            beyond.append(f"{change.verb} {change.label} is now {change.risk}")
    return tuple(beyond)


def _wider(fresh: Mapping[str, Any], approved: Mapping[str, Any]) -> str:
    for name, value in fresh.items():
        limit = approved.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and isinstance(limit, int | float):
            within = value <= limit
        elif isinstance(value, list | tuple) and isinstance(limit, list | tuple):
            within = set(value) <= set(limit)
        else:
            within = value == limit
        if not within:
            return f"{name} is now {value}, approved was {limit}"
    return ""


def require_savable(path: Path) -> None:
    """Raise UsageError where a plan cannot be saved to `path`: known before anything is read."""
    try:
        why = _obstacle(path)
    except OSError as error:
        why = error.strerror or str(error)
    if why:
        raise UsageError(f"cannot save the plan to {path}: {why}", then=_SAVABLE)


def _obstacle(path: Path) -> str:
    folder = path.parent
    if path.is_symlink():
        return "it is a symbolic link"
    if path.is_dir():
        return "it is a directory"
    if not folder.is_dir():
        return f"there is no folder {folder}"
    if path.exists():
        return "" if os.access(path, os.W_OK) else "it cannot be written"
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"the folder {folder} cannot be written"


def save_plan(plan: Plan, path: Path) -> None:
    """Write `plan` to `path` (0600); StateError when that fails."""
    # Without O_NONBLOCK a pipe that nobody reads would keep us waiting for ever.
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(
                msgspec.json.format(msgspec.json.encode(plan, enc_hook=plain_number), indent=1) + b"\n"
            )
    except OSError as error:
        why = "it is a symbolic link" if path.is_symlink() else error.strerror
        raise StateError(
            f"cannot save the plan to {path}: {why}",
            then=_SAVABLE,
        ) from error


def load_plan(path: Path, *, now: datetime.datetime) -> Plan:
    """Return the plan saved in `path`; UsageError when it is none, StalePlanError when it is too old."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise UsageError(
                f"{path} is not a plan that sretool saved: it is longer than any plan", then=_ANOTHER
            )
        plan = msgspec.json.decode(content, type=Plan)
    except OSError as error:
        raise UsageError(f"cannot read the plan {path}: {error.strerror}", then=_ANOTHER) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a plan that sretool saved: {error}", then=_ANOTHER) from error
    if plan.format != FORMAT:
        raise UsageError(f"{path} has plan format {plan.format}; this sretool reads {FORMAT}", then=_ANOTHER)
    age = (now - plan.made_at).total_seconds()
    then = f"look again: {plan.command} --save {shlex.quote(str(path))}"
    if age < 0:
        raise StalePlanError(
            f"the plan {path} was made at {plan.made_at:%Y-%m-%d %H:%M:%S} UTC, which is yet to come: this "
            f"machine's clock says {now:%Y-%m-%d %H:%M:%S} UTC",
            then=then,
        )
    if age > MAX_AGE_SECONDS:
        raise StalePlanError(
            f"the plan {path} was made {age / 60:.0f} minutes ago; {MAX_AGE_SECONDS / 60:.0f} is the limit",
            then=then,
        )
    return plan
