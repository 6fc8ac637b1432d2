"""What a guard judges, and how it answers."""

from typing import Literal

import msgspec

from sretool.model import Change, ControlPlaneLease, EtcdState, Known, MemberState

# What these forbid loses data, or is meant for other members: it is not offered to be done by hand either.
_NEVER_BY_HAND = frozenset({"corrupt", "version-hazard", "inventory", "catching-up", "disk-free"})


class GuardAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One guard's answer. `reason` names the value and the rule.

    `accept` is the word of `--accept WORD` by which a person at a terminal overrides a refusal, empty when
    nothing does. `is_unknown` marks an answer for a fact that could not be read.
    """

    verdict: Literal["pass", "wait", "refuse"]
    rule: str
    reason: str
    accept: str = ""
    is_unknown: bool = False

    @property
    def may_be_made_by_hand(self) -> bool:
        """Tell whether a person who looks first may do what this refuses."""
        return bool(self.accept) or self.rule not in _NEVER_BY_HAND


class GuardContext(msgspec.Struct, frozen=True, kw_only=True):
    """A change, the cluster as it is now, and as it was when the run began.

    `moves` is how often this run moved leadership. `leases_before` are the control plane's leases right after
    the run's last change that stalled a member, None before the first. `in_window`: a maintenance window was
    declared, and it is open.
    """

    state: EtcdState
    start: EtcdState
    change: Change
    moves: int
    unattended: bool
    accepted: tuple[str, ...] = ()
    in_window: bool = False
    leases_before: Known[tuple[ControlPlaneLease, ...]] | None = None

    def is_accepted(self, word: str) -> bool:
        """Tell whether a person, who is there to see what happens, overrode the rule with `--accept word`."""
        return word in self.accepted and not self.unattended

    def at_start(self, member: MemberState) -> MemberState:
        """Return `member` as it was when the run began."""
        return self.start.by_name().get(member.name, member)


def passed(rule: str, reason: str) -> GuardAnswer:
    """The rule holds."""
    return GuardAnswer(verdict="pass", rule=rule, reason=reason)


def wait(rule: str, reason: str, accept: str = "", *, is_unknown: bool = False) -> GuardAnswer:
    """The rule does not hold yet: it is asked again until the settle time is over; a person may accept that."""
    return GuardAnswer(verdict="wait", rule=rule, reason=reason, accept=accept, is_unknown=is_unknown)


def refuse(rule: str, reason: str, accept: str = "", *, is_unknown: bool = False) -> GuardAnswer:
    """The rule forbids the change; a person may override it when `accept` names a word."""
    return GuardAnswer(verdict="refuse", rule=rule, reason=reason, accept=accept, is_unknown=is_unknown)


def unread(rule: str, reason: str, *, was_read: bool, accept: str = "") -> GuardAnswer:
    """Answer for a fact that is unknown: never pass. What could be read when the run began may be back soon."""
    if was_read:
        return wait(rule, reason, is_unknown=True)
    return refuse(rule, reason, accept, is_unknown=True)
