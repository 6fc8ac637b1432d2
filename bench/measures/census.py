"""Which keys fill etcd: a runbook of one census against `etcdctl get --keys-only` and awk, 200,000 keys."""

import json
import shlex

from bench.filling import put_all
from bench.model import Case, Cases, Goal, Sample, WrongAnswerError
from bench.stage import RUNBOOKS, Finished, Stage, etcdctl
from sretool.clients.etcd import Put
from sretool.lab import Lab, LabSpec

_KEYS = 200_000
_RESOURCES = ("events", "pods", "configmaps", "leases")
_NAMESPACES = 50
_AWK = "awk -F/ 'NF { n[$3 \" \" $4]++ } END { for (one in n) print n[one], one }'"


def cases(stage: Stage) -> Cases:
    with stage.lab(LabSpec(name="census")) as lab:
        keys = (
            f"/registry/{_RESOURCES[n % len(_RESOURCES)]}/namespace-{n % _NAMESPACES:02d}/object-{n:06d}"
            for n in range(_KEYS)
        )
        put_all(lab, (Put(key=key.encode(), value=b"x" * 200) for key in keys))
        yield Case(
            name="200,000 keys",
            sides={"sretool": lambda: ours(stage), "etcdctl | awk": lambda: peer(stage, lab)},
            goals=(
                Goal(quantity="seconds", limit=2.0, against="etcdctl | awk"),
                Goal(quantity="peak_mb", limit=0.6, against="etcdctl | awk"),
            ),
            note="peak_mb: of the largest process",
        )


def ours(stage: Stage) -> Sample:
    finished = stage.sretool("runbook", str(RUNBOOKS / "census.yaml"), "--plan", "--output", "json")
    found = json.loads(finished.require(0).stdout)["found"]
    counted = next((one["sentence"] for one in found if " keys" in one["sentence"]), "")
    return check(finished, int(counted.split()[0]) if counted else 0)


def peer(stage: Stage, lab: Lab) -> Sample:
    get = shlex.join(
        etcdctl(lab, "get", "--keys-only", "--prefix", "", endpoints=[lab.members[0].client_url])
    )
    finished = stage.run(["/bin/sh", "-c", f"{get} | {_AWK}"]).require(0)
    return check(finished, sum(int(line.split()[0]) for line in finished.stdout.splitlines()))


def check(finished: Finished, keys: int) -> Sample:
    if keys != _KEYS:
        raise WrongAnswerError(f"{keys} keys were counted, there are {_KEYS}")
    return {"seconds": finished.seconds, "peak_mb": finished.peak_mb}
