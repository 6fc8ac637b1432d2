"""The contract of a step: read, decide, act, look again. Everything that a step author needs."""

import abc
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin

import msgspec

from sretool.cluster import ClusterReader, ClusterWriter
from sretool.knowledge.rights import Right
from sretool.model import Change, Outcome, Proposal, Risk

P = TypeVar("P", bound=msgspec.Struct)
F = TypeVar("F", bound=msgspec.Struct)


class Step(abc.ABC, Generic[P, F]):
    """One kind of work, in one file. The class docstring is the step's manual.

    Subclasses name their types once: `class EtcdDefrag(Step[DefragParams, DefragFacts])`.
    Params are a frozen struct whose fields carry `Annotated[..., msgspec.Meta(description=...)]`.
    Facts are a frozen struct; conditions in runbooks see its fields of type int, float, bool, str and
    tuple[str, ...] (each possibly `Unknown`), everything else is the step's own.
    """

    uses: ClassVar[str]
    risk: ClassVar[Risk]  # the highest of its changes
    precaution: ClassVar[bool] = False  # its changes are due only before a later step's due change
    looks_together: ClassVar[int] = 1  # so many changes of a wave are looked at with one `observe_each`
    # The commands that read the same; `{endpoints}`, `{endpoint}` and `{metrics}` are filled in.
    reads_by_hand: ClassVar[tuple[str, ...]] = ()
    # What it may find, with what a person does about it where no runbook takes over.
    causes: ClassVar[Mapping[str, str]] = {}
    # What it asks of the Kubernetes API: `to_read("list", "pods")`, and `to_write(…)` for apply and undo.
    rights: ClassVar[tuple[Right, ...]] = ()
    params_type: ClassVar[type[msgspec.Struct]]
    facts_type: ClassVar[type[msgspec.Struct]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in getattr(cls, "__orig_bases__", ()):
            if get_origin(base) is Step:
                cls.params_type, cls.facts_type = get_args(base)

    @abc.abstractmethod
    def look(self, read: ClusterReader, params: P) -> F:
        """Read the facts. Reads only: a `ClusterReader` cannot write. Remote errors become `Unknown` facts
        where the step can say something without them; otherwise they are raised."""

    @abc.abstractmethod
    def plan(self, params: P, facts: F, earlier: Sequence[Change]) -> Proposal:
        """Decide. Pure: no reads, no clock, no randomness; equal input gives an equal proposal.

        `earlier` is what earlier steps of this run plan or have made (`Change.made`), the same list at planning,
        re-planning and resume; at re-planning this step's own changes that were made stand at its end. The
        engine drops what was made already from the proposal. A fact that is unknown never permits a change:
        it gives a `Held`, or a conditional change.
        """

    def apply(self, write: ClusterWriter, change: Change) -> None:
        """Make this change and nothing else, from `change.selection` alone; raise when it fails.

        A reversible change is made from `change.after` as well, the state to bring about of what `selection`
        names: `change.reversed()` swaps it with `before`, and keeps the selection.
        Harmless when the change was already made. Only steps whose plans hold changes override it.
        """
        raise NotImplementedError(f"{self.uses} plans no changes")

    def lane(self, change: Change) -> str:
        """Say which changes of a wave must not be under way at once: those of one lane are made one after the
        other, in their order, all others side by side. By itself each change has a lane of its own."""
        return change.key

    def observe(self, read: ClusterReader, change: Change) -> Outcome:
        """Look at the change's object and compare with `change.before`: is it done?

        Serves as verification after `apply`, as the answer after a timeout, and in `resume` after a crash, so
        it must not rely on anything that `apply` returned. It never raises for what it cannot read: that is
        `Result.CANNOT_TELL`.
        """
        raise NotImplementedError(f"{self.uses} plans no changes")

    def observe_each(self, read: ClusterReader, changes: Sequence[Change]) -> Sequence[Outcome]:
        """Observe each of `changes`: `looks_together` of a wave, or what a resume has to settle. Only overridden
        where one request answers for many; the outcomes are those of `observe`."""
        return [self.observe(read, change) for change in changes]


AnyStep = Step[Any, Any]
Catalogue = Mapping[str, type[AnyStep]]
"""The steps that there are, by the name that a runbook uses."""
