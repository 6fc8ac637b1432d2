"""`sretool schedule`: schedulers accept what it writes, and the command in it does its work unattended."""

import datetime
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sretool.lab import LabSpec
from sretool.lab.faults import raise_fault, undo_fault
from tests.support.etcd_cluster import running_lab
from tests.support.filled import statuses
from tests.support.sretool_cli import ROOT, Sretool

# Building Kubernetes for the first time takes minutes.
pytestmark = [
    pytest.mark.real,
    pytest.mark.faults,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("schedule"),
]

PATHS = {
    "ServiceAccount": "/api/v1/namespaces/kube-system/serviceaccounts",
    "ConfigMap": "/api/v1/namespaces/kube-system/configmaps",
    "CronJob": "/apis/batch/v1/namespaces/kube-system/cronjobs",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/rolebindings",
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    base = tmp_path_factory.mktemp("sc")
    with running_lab(base, LabSpec(name="prod", quota_bytes=64 << 20, kubernetes=True)) as lab:
        lab.base = base
        yield lab


@pytest.fixture
def sretool(lab, tmp_path):
    return Sretool(lab.base, lab.name, state=tmp_path / "state")


def window(*, begins_in_hours):
    begins = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=begins_in_hours)
    ends = begins + datetime.timedelta(hours=4)
    return f"daily {begins:%H:%M}-{ends:%H:%M} UTC"


def written(sretool, kind, *arguments, hours=-1):
    """Return what is printed for `kind` with a window that is open, or `hours` away."""
    options = ("--as", kind, "--window", window(begins_in_hours=hours), "-p", "reclaim_floor=1Mi")
    done = sretool("schedule", "etcd-defrag", *options, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def documents(text):
    return [one for one in yaml.safe_load_all(text) if one]


def command_of(kind, text):
    if kind == "systemd":
        return shlex.split(re.search(r"^ExecStart=(.*)$", text, re.MULTILINE)[1])
    cronjob = next(one for one in documents(text) if one["kind"] == "CronJob")
    return cronjob["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["command"]


def begin(sretool, kind, **kwargs):
    """Start the very command that the scheduler would, and return the process."""
    program, *arguments = command_of(kind, written(sretool, kind, **kwargs))
    there = Path(sys.executable).with_name("sretool")
    assert program in ("sretool", str(there))
    return subprocess.Popen(
        [there, *arguments],
        env=sretool.environment,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(sretool, kind, **kwargs):
    process = begin(sretool, kind, **kwargs)
    out, _ = process.communicate(timeout=110)
    return process.returncode, " ".join(out.split())


@pytest.fixture
def fragmented(lab):
    Sretool(lab.base, lab.name)("lab", "fault", "--name", lab.name, "fragment", "m1", "--size", "16Mi")


def sizes(lab):
    return [one["dbSize"] for one in statuses(lab).values()]


def test_the_api_server_accepts_every_object(lab, sretool):
    found = documents(written(sretool, "cronjob", "--node", "node-1"))
    assert {one["kind"] for one in found} == set(PATHS)
    with lab.api() as api:
        for one in found:
            stored = api.create(f"{PATHS[one['kind']]}?dryRun=All&fieldValidation=Strict", one)
            assert stored["metadata"]["name"] == one["metadata"]["name"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd (Debian: systemd)")
def test_systemd_accepts_the_units(sretool, tmp_path):
    folder = tmp_path / "units"
    written(sretool, "systemd", "--to", str(folder))
    units = sorted(str(path) for path in folder.iterdir())
    assert [Path(unit).name for unit in units] == ["sretool-etcd-defrag.service", "sretool-etcd-defrag.timer"]
    done = subprocess.run(
        ["systemd-analyze", "verify", *units], check=False, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_folder_has_the_image_s_recipe_too(sretool, tmp_path):
    written(sretool, "cronjob", "--to", str(tmp_path / "job"))
    assert sorted(path.name for path in (tmp_path / "job").iterdir()) == [
        "Dockerfile",
        "sretool-etcd-defrag.yaml",
    ]


def test_work_that_is_due_is_done_and_then_nothing_is_due(lab, sretool, fragmented):
    before = sizes(lab)
    code, out = run(sretool, "cronjob")
    assert code == 0, out
    assert all(after < size - (8 << 20) for after, size in zip(sizes(lab), before, strict=True)), out
    code, out = run(sretool, "systemd")
    assert code == 0, out
    assert not [one for one in sretool.journal() if one["kind"] == "intent"]


def test_outside_of_the_window_nothing_begins(sretool):
    code, out = run(sretool, "systemd", hours=2)
    assert code == 4, out
    assert "outside of the maintenance window" in out
    assert "nothing was changed" in out


def test_without_a_voter_to_spare_it_is_refused(lab, sretool, fragmented):
    raise_fault(lab, "kill", "m3")
    try:
        before = statuses(lab)
        code, out = run(sretool, "systemd")
        assert code in (4, 9), out
        assert not [one for one in sretool.journal() if one["kind"] == "intent"]
        assert [one["dbSize"] for one in statuses(lab).values()] == [one["dbSize"] for one in before.values()]
    finally:
        undo_fault(lab, "kill", "m3")


def test_the_scheduler_s_sigterm_ends_it_with_a_clean_journal(lab, sretool, fragmented):
    process = begin(sretool, "cronjob")
    try:
        sretool.wait_for_record("intent")
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=110)
    finally:
        process.kill()
    assert process.returncode == 143, out
    assert "sretool resume" in out
    kinds = [one["kind"] for one in sretool.journal()]
    assert kinds.count("intent") == kinds.count("outcome")
    resumed = sretool("resume", "--approve", "disruptive")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
