"""Runs the guards that a change's effects call for, on facts read just before it."""

from collections.abc import Sequence

from sretool.cluster import ClusterReader
from sretool.cluster.state import read_etcd_state
from sretool.engine.context import Run
from sretool.engine.journal import done_outcomes
from sretool.knowledge.guards import GuardAnswer, GuardContext, judge
from sretool.knowledge.leadership import MOVE_VERB
from sretool.model import Change, Effect, EtcdState, Held


class Guards:
    """The guards of one run: they compare with how the cluster was when the run began."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._start: EtcdState | None = None

    def judge(self, change: Change, read: ClusterReader) -> GuardAnswer:
        """Return the worst answer for `change`: refuse, else wait, else pass."""
        # Only what stalls a member must know of compactions, and seeing one takes two scrapes.
        if self._start is None or Effect.STALLS_MEMBER in change.effects:
            state = read.etcd.remember("state", lambda: read_etcd_state(read))
        else:
            state = read.etcd.remember(
                "state but compactions", lambda: read_etcd_state(read, watch_compaction=False)
            )
        self._start = self._start or state
        context = GuardContext(
            state=state,
            start=self._start,
            change=change,
            moves=self._moves_made(),
            unattended=self._run.unattended,
            accepted=self._run.accepted,
        )
        return judge(context)[0]

    def sift(
        self, changes: Sequence[Change], read: ClusterReader
    ) -> tuple[tuple[Change, ...], tuple[Held, ...]]:
        """Part `changes` into those that may be planned and those that a rule forbids. Waiting is no refusal."""
        allowed, held = [], []
        for change in changes:
            answer = self.judge(change, read)
            if answer.verdict == "refuse":
                held.append(
                    Held(
                        what=f"{change.verb} {change.label}",
                        why=f"{answer.rule}: {answer.reason}",
                        refused=True,
                        accept=answer.accept,
                        commands=change.commands,
                    )
                )
            else:
                allowed.append(change)
        return tuple(allowed), tuple(held)

    def _moves_made(self) -> int:
        return sum(body["verb"] == MOVE_VERB for body in done_outcomes(self._run.journal.records))
