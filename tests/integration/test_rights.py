"""Under exactly the role that its page prints, each shipped runbook is planned, and some are applied and undone."""

import json
import re
from pathlib import Path

import pytest
import yaml

from sretool.lab import LabSpec
from sretool.lab.certificates import Pair, issue_client
from sretool.lab.faults import FaultOptions, raise_fault
from sretool.lab.kubernetes_files import AUTHORITY, audit_log_path
from sretool.runbook.library import list_playbooks, list_runbooks
from tests.support.etcd_cluster import running_lab
from tests.support.sretool_cli import ROOT, Sretool

pytestmark = pytest.mark.real

RBAC = "/apis/rbac.authorization.k8s.io/v1"
PODS = 60
GIVEN = {
    "etcd-latency": ({"window": "2s", "second_look": "1s"},),
    "event-flood": ({}, {"namespaces": "shop", "reasons": "BackOff", "while_written": "true"}),
    "quota-rollout": ({"namespaces": "team-*"},),
    "runaway-deployment": (
        {"second_look": "1s"},
        {"namespace": "shop", "deployment": "web", "replicas": "5", "second_look": "1s"},
    ),
}
APPROVED = {"event-flood": "irreversible", "quota-rollout": "reversible", "runaway-deployment": "disruptive"}
PLANNED, DONE = (0, 3, 4, 9), (0, 9)  # 9, 4: unhealthy, and not this runbook's to cure, or not unasked
ROLES = {
    match[1]: match[0]
    for match in re.finditer(
        r"(?<=```yaml\n)(?s:.*?)metadata: \{name: ([a-z0-9-]+)(?s:.*?)(?=```)",
        "".join((ROOT / "docs" / "reference" / f"{one}s.md").read_text() for one in ("runbook", "playbook")),
    )
}


@pytest.fixture(scope="module")
def lab(base):
    with running_lab(base, LabSpec(name="rights", members=1, kubernetes=True)) as lab:
        raise_fault(lab, "runaway", "", FaultOptions(count=PODS, namespaces=("shop",)))
        flood = FaultOptions(count=400, namespaces=("shop",), reasons=("BackOff",), minutes=10)
        raise_fault(lab, "event-flood", "", flood)
        with lab.api() as api:
            for name in ("team-a", "team-b"):
                api.create("/api/v1/namespaces", {"metadata": {"name": name}})
        yield lab


class Somebody:
    """A user of the API server who holds one role and nothing else, and their sretool."""

    def __init__(self, lab, base, role):
        self.name, self.log = f"as-{role}", audit_log_path(lab.directory)
        tls = lab.directory / "tls"
        authority = Pair(tls / f"{AUTHORITY}.crt", tls / f"{AUTHORITY}.key")
        pair = issue_client(authority, base, name=self.name)
        text = (lab.directory / "kubeconfig").read_text()
        for file, own in (("kubernetes-admin.crt", pair.cert), ("kubernetes-admin.key", pair.key)):
            text = text.replace(str(tls / file), str(own))
        (base / f"{self.name}.kubeconfig").write_text(text)
        entry = yaml.safe_load(lab.cluster_file.read_text())
        entry |= {"cluster": self.name}
        entry["kubernetes"]["kubeconfig"] = str(base / f"{self.name}.kubeconfig")
        (lab.cluster_file.parent / f"{self.name}.yaml").write_text(yaml.safe_dump(entry))
        self.sretool = Sretool(base, self.name, state=base / self.name)
        with lab.api() as api:
            for document in yaml.safe_load_all(ROLES[role]):
                bind(api, document, self.name)

    def asked(self):
        """Return what the audit log says of this user so far."""
        lines = [json.loads(line) for line in Path(self.log).read_text().splitlines()]
        return [one for one in lines if one["user"]["username"] == self.name]


def bind(api, role, user):
    """Apply a role as the page prints it, and bind it to `user`."""
    namespace = role["metadata"].get("namespace", "")
    scope = f"{RBAC}/namespaces/{namespace}" if namespace else RBAC
    plural = f"{role['kind'].lower()}s"
    api.create(f"{scope}/{plural}", role)
    binding = {
        "metadata": {"name": user},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": role["kind"],
            "name": role["metadata"]["name"],
        },
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }
    api.create(f"{scope}/{plural.removesuffix('s')}bindings", binding)


def refused(asked):
    return [(one["verb"], one["requestURI"]) for one in asked if one["responseStatus"]["code"] == 403]


def mutating(asked):
    """Return the requests that change something: all but reads, dry runs and reviews."""
    return [
        (one["verb"], one["requestURI"])
        for one in asked
        if one["verb"] not in ("get", "list", "watch")
        and "dryRun=All" not in one["requestURI"]
        and not re.search(r"/self\w+reviews$", one["requestURI"])
    ]


def parameters(given):
    return [word for name, value in given.items() for word in ("-p", f"{name}={value}")]


@pytest.mark.parametrize("runbook", [name for name, _ in list_runbooks()])
def test_checking_and_planning_ask_only_what_the_planning_role_allows_and_change_nothing(lab, base, runbook):
    somebody = Somebody(lab, base, f"sretool-{runbook}-plan")
    assert somebody.sretool("check", f"runbooks/{runbook}.yaml").returncode == 0
    for given in GIVEN.get(runbook, ({},)):
        done = somebody.sretool("runbook", runbook, "--plan", *parameters(given))
        assert done.returncode in PLANNED, done.stdout + done.stderr
        assert "(403" not in done.stdout + done.stderr  # the audit log leaves out /metrics and /readyz
    asked = somebody.asked()
    assert asked, "the API server has seen none of it"
    assert ([], []) == (refused(asked), mutating(asked))


@pytest.mark.parametrize("playbook", [name for name, _ in list_playbooks()])
def test_planning_a_playbook_asks_only_what_its_planning_role_allows(lab, base, playbook):
    somebody = Somebody(lab, base, f"sretool-{playbook}-plan")
    done = somebody.sretool(
        "playbook", playbook, "--plan", *parameters({"window": "2s", "second_look": "1s"})
    )
    assert done.returncode in PLANNED, done.stdout + done.stderr
    assert ([], []) == (refused(somebody.asked()), mutating(somebody.asked()))


@pytest.mark.parametrize("runbook", APPROVED)
def test_applying_and_undoing_ask_only_what_the_applying_role_allows(lab, base, runbook):
    somebody = Somebody(lab, base, f"sretool-{runbook}-apply")
    given = parameters(GIVEN[runbook][-1])
    done = somebody.sretool("runbook", runbook, "--approve", APPROVED[runbook], *given)
    assert done.returncode in DONE, done.stdout + done.stderr
    if runbook != "event-flood":
        undone = somebody.sretool("undo", somebody.sretool.run_ids()[-1], "--approve", APPROVED[runbook])
        assert undone.returncode in DONE, undone.stdout + undone.stderr
    asked = somebody.asked()
    assert mutating(asked), "nothing was applied"
    assert refused(asked) == []
