"""A step that wants to write where the contract hands out a reader is no step."""

from collections.abc import Sequence

import msgspec

from sretool.cluster import ClusterReader, ClusterWriter
from sretool.model import Change, Proposal, Risk
from sretool.step import Step


class Params(msgspec.Struct, frozen=True):
    """None."""


class Facts(msgspec.Struct, frozen=True):
    """None."""


class Sound(Step[Params, Facts]):
    """Reads where it looks, writes where it applies."""

    uses = "example.sound"
    risk = Risk.DISRUPTIVE

    def look(self, read: ClusterReader, params: Params) -> Facts:
        return Facts()

    def plan(self, params: Params, facts: Facts, earlier: Sequence[Change]) -> Proposal:
        return Proposal()

    def apply(self, write: ClusterWriter, change: Change) -> None:
        write.etcd.defragment("m1", timeout_seconds=1.0)


class WritesWhenItLooks(Sound):
    """Asks for a writer to look with."""

    def look(self, read: ClusterWriter, params: Params) -> Facts:  # error: override
        return Facts()


class AppliesWithAReader(Sound):
    """Takes a reader for what only a writer can do."""

    def apply(self, write: ClusterReader, change: Change) -> None:  # error: override
        write.etcd.defragment("m1", timeout_seconds=1.0)  # error: attr-defined


class PlansNothingThatIsAProposal(Sound):
    """Returns nothing, where nothing to do is an empty proposal."""

    def plan(self, params: Params, facts: Facts, earlier: Sequence[Change]) -> None:  # error: override
        pass


def a_reader_is_no_writer(step: Sound, read: ClusterReader, write: ClusterWriter, change: Change) -> None:
    step.apply(write, change)
    step.apply(read, change)  # error: arg-type
    step.look(write, Params())  # error: arg-type
