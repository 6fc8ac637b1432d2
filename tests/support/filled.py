"""Labs in the states that runbooks are for, and what tests ask of them."""

import json

from sretool.lab import Lab
from tests.support.sretool_cli import Sretool


def fault(lab: Lab, *arguments):
    """Run `sretool lab fault` on `lab`, in the folders it was started with."""
    base = lab.directory.parents[3]
    done = Sretool(base, lab.name)("lab", "fault", "--name", lab.name, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def fill(lab: Lab, *, content="garbage"):
    """Bring `lab` to NOSPACE."""
    fault(lab, "fill", "m1", "--with", content)


def empty(lab: Lab):
    """Take the filling back, alarm included."""
    fault(lab, "fill", "m1", "--undo")


def statuses(lab: Lab):
    """Return etcdctl's own view of every member that answers, by name."""
    found = {}
    for member in lab.members:
        done = lab.etcdctl("endpoint", "status", "-w", "json", f"--endpoints={member.client_url}")
        if done.returncode == 0:
            found[member.name] = json.loads(done.stdout)[0]["Status"]
    return found


def alarms(lab: Lab) -> str:
    return lab.etcdctl("alarm", "list").stdout.strip()


def put_succeeds(lab: Lab) -> bool:
    return lab.etcdctl("put", "sretool-test", "value").returncode == 0


def results(records):
    """Return (verb, result) of every outcome in a journal, in order."""
    return [
        (record["body"]["verb"], record["body"]["outcome"]["result"])
        for record in records
        if record["kind"] == "outcome"
    ]


def keys_in_etcd(lab: Lab, prefix: str) -> int:
    """Return how many keys begin with `prefix`."""
    answer = lab.etcdctl("get", "--prefix", "--keys-only", prefix)
    assert answer.returncode == 0, answer.stderr
    return len(answer.stdout.split())
