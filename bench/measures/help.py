"""Start-up: `sretool --help` against `kubectl version --client`; etcdctl for information."""

from bench.model import Case, Cases, Goal, Sample, WrongAnswerError
from bench.programs import require_kubectl
from bench.stage import Finished, Stage, etcdctl
from sretool.lab import LabSpec


def cases(stage: Stage) -> Cases:
    kubectl = require_kubectl(stage.tell)
    version = stage.run([str(kubectl), "version", "--client"]).require(0).stdout.splitlines()[0]
    with stage.lab(LabSpec(name="help", members=1)) as lab:
        yield Case(
            name="start-up",
            sides={
                "sretool --help": lambda: ours(stage),
                "kubectl version": lambda: peer(stage, [str(kubectl), "version", "--client"]),
                "etcdctl version": lambda: peer(stage, etcdctl(lab, "version")),
            },
            rounds=15,
            note=f"kubectl: {version}",
            goals=(
                Goal(quantity="seconds", limit=1.5, against="kubectl version"),
                Goal(quantity="seconds", limit=0.150),
            ),
        )


def ours(stage: Stage) -> Sample:
    return check(stage.sretool("--help"), "Usage: sretool")


def peer(stage: Stage, command: list[str]) -> Sample:
    return check(stage.run(command), "ersion")


def check(finished: Finished, text: str) -> Sample:
    if text not in finished.require(0).stdout:
        raise WrongAnswerError(f"{text!r} is not in {finished.stdout[:200]!r}")
    return {"seconds": finished.seconds}
