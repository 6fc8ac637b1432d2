"""What a playbook's conditions, numbers and templates may mention: its parameters, and what earlier stages read."""

from collections.abc import Mapping
from typing import Any

from sretool.documents import suggest
from sretool.runbook.model import ParamSpec
from sretool.runbook.params import KINDS
from sretool.runbook.references import PLAYBOOK_FORMS, Fault, Kind, Reference

StageKinds = Mapping[str, Mapping[str, Mapping[str, Kind]] | None]
"""What may be asked about one stage: by runbook, step and fact; None for a runbook with a problem of its own."""


class Scope:
    """The mentions that are known, one stage after another; `gates` are those of all stages, by stage."""

    def __init__(self, params: Mapping[str, ParamSpec | None], gates: Mapping[str, str]) -> None:
        self._params = params
        self._gates = gates
        self._stages: dict[str, StageKinds] = {}  # those that have been read

    def add(self, stage: str, kinds: StageKinds) -> None:
        """Note what may be asked about a stage from here on; of two with one name the first counts."""
        self._stages.setdefault(stage, kinds)

    def kinds(self) -> dict[str, Kind]:
        """Return the type of everything that can be mentioned here."""
        params = {f"params.{name}": KINDS[param.type] for name, param in self._params.items() if param}
        return params | {
            f"stages.{stage}.{part}.{step}.{fact}": kind
            for stage, parts in self._stages.items()
            for part, steps in parts.items()
            for step, facts in (steps or {}).items()
            for fact, kind in facts.items()
        }

    def find_fault(self, mention: Reference, stage: str) -> Fault | None:
        """Return what is wrong with a mention in `stage`; None when nothing is, or it was noted elsewhere."""
        form = PLAYBOOK_FORMS[mention.root]
        if len(mention.words) < len(form.split(".")) - 1:
            return Fault(mention.offsets[0], f"{mention.name} is no value: write {form}")
        first = mention.words[0]
        if mention.root == "params":
            if first in self._params:
                return None
            return Fault(mention.offsets[1], f"there is no parameter {first}{suggest(first, self._params)}")
        if wrong := self._wrong_stage(first, stage):
            return Fault(mention.offsets[1], wrong)
        known: Any = self._stages[first]
        for depth, (what, word) in enumerate(
            zip(("runbook", "step", "fact"), mention.words[1:], strict=True), start=1
        ):
            if word not in known:
                where = ".".join(mention.words[:depth])
                return Fault(
                    mention.offsets[depth + 1], f"{where} has no {what} {word}{suggest(word, known)}"
                )
            known = known[word]
            if known is None:
                return None
        return None

    def _wrong_stage(self, named: str, stage: str) -> str:
        """Return why nothing of the stage `named` is known in `stage`; empty when it is."""
        if self._gates.get(named) == "held" and named != stage:
            return f"stage {named} is held: it runs only when it is named, so nothing else may ask about it"
        if named in self._stages:
            return ""
        if named == stage:
            return f"stage {stage} asks about itself: only until may"
        if named in self._gates:
            return f"stage {named} comes later: only earlier stages are known"
        return f"there is no earlier stage {named}{suggest(named, self._stages)}"
