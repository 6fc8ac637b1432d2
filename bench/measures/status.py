"""Every member at a glance: `sretool cluster status` against `etcdctl endpoint status -w table`."""

from bench.model import Case, Cases, Goal, Sample, WrongAnswerError
from bench.stage import Finished, Stage, etcdctl
from sretool.lab import Lab, LabSpec
from sretool.lab.faults.catalogue import raise_fault, undo_fault

_FAULTS = (("one dead", "kill", 1, 0.3), ("one frozen", "freeze", 1, 0.3), ("two frozen", "freeze", 2, 0.15))


def cases(stage: Stage) -> Cases:
    with stage.lab(LabSpec(name="status")) as lab:
        yield _case(stage, lab, name="3 healthy", limit=4.0, rounds=9)
        for name, fault, count, limit in _FAULTS:
            members = [member.name for member in lab.members[-count:]]
            for member in members:
                raise_fault(lab, fault, member)
            yield _case(stage, lab, name=name, limit=limit, rounds=5 if count == 1 else 3)
            for member in members:
                undo_fault(lab, fault, member)


def _case(stage: Stage, lab: Lab, *, name: str, limit: float, rounds: int) -> Case:
    healthy = name == "3 healthy"
    return Case(
        name=name,
        sides={
            "sretool": lambda: ours(stage, lab, healthy=healthy),
            "etcdctl": lambda: peer(stage, lab, healthy=healthy),
        },
        rounds=rounds,
        goals=(Goal(quantity="seconds", limit=limit, against="etcdctl"),),
    )


def ours(stage: Stage, lab: Lab, *, healthy: bool) -> Sample:
    finished = stage.sretool("cluster", "status")
    return check(finished, [member.name for member in lab.members], healthy=healthy)


def peer(stage: Stage, lab: Lab, *, healthy: bool) -> Sample:
    finished = stage.run(etcdctl(lab, "endpoint", "status", "-w", "table"))
    # A silent member has no row there: the first one is all that every case can show.
    return check(finished, [lab.members[0].client_url], healthy=healthy)


def check(finished: Finished, rows: list[str], *, healthy: bool) -> Sample:
    if (finished.exit_code == 0) is not healthy:
        raise WrongAnswerError(f"exit {finished.exit_code}: {finished.stderr.strip()[-300:]}")
    for row in rows:
        if not any(row in line for line in finished.stdout.splitlines()):
            raise WrongAnswerError(f"no row for {row} in: {finished.stdout}")
    return {"seconds": finished.seconds}
