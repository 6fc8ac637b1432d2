"""Whatever is given to sretool ends in a documented exit code, in words, in time, and never in a traceback."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from sretool.lab import LabSpec
from sretool.lab.certificates import Pair, create_authority, issue_client
from tests.support.etcd_cluster import broken_client, running_lab
from tests.support.sretool_cli import ROOT, Sretool

pytestmark = [
    pytest.mark.real,
    pytest.mark.faults,
    pytest.mark.timeout(60),
]

SECONDS = 20  # of one command on an idle machine: a fraction of it; a hang is what this ends


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    base = tmp_path_factory.mktemp("bad")
    with running_lab(base, LabSpec(name="bad", members=1)) as lab:
        lab.base = base
        yield lab


@pytest.fixture
def sretool(lab, tmp_path):
    return Sretool(lab.base, lab.name, state=tmp_path / "state")


@pytest.fixture
def entry(lab):
    """Writes cluster files beside the lab's; they are gone afterwards."""
    folder = lab.cluster_file.parent
    made = []

    def write(name, change=None, *, raw=None):
        document = yaml.safe_load(lab.cluster_file.read_text()) | {"cluster": name}
        if change is not None:
            change(document)
        path = folder / f"{name}.yaml"
        path.write_bytes(raw if raw is not None else yaml.safe_dump(document).encode())
        made.append(path)
        return path

    yield SimpleNamespace(write=write, folder=folder, made=made)
    for path in set(made):
        path.unlink()


def ends(done, code, *words):
    """Assert the ending: the code, no bug, no traceback, and each of `words` in what was said."""
    said = re.sub(r"\s+", " ", done.stdout + done.stderr)
    assert done.returncode == code, said
    assert "Traceback" not in said
    assert "a bug in sretool" not in said
    if code in (2, 4, 8):
        assert "nothing was changed" in said
    for word in words:
        assert word in said


def limited(sretool, *arguments, env=None):
    """Run with a limit of its own: `timeout` ends what hangs with exit 124."""
    command = ["timeout", str(SECONDS), sys.executable, "-m", "sretool", *map(str, arguments)]
    environment = sretool.environment | {"PYTHONPATH": str(ROOT)} | (env or {})
    return subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env=environment
    )


def endpoints(**fields):
    return lambda document: document["etcd"]["members"][0].update(fields)


def access(**fields):
    return lambda document: document["etcd"].update({key: str(value) for key, value in fields.items()})


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "the document is empty"),
        (b"cluster: \xff\xfe\n", "is not UTF-8"),
        (b"cluster: a\0b\n", "control character"),
        (b"- 1\n", "not a mapping"),
        (b"cluster: 5\netcd: {members: 3}\n", "Expected `str`"),
        (b"cluster: [[[[[[[[[[[[[[[[[[[[[[[[[[", "nested deeper"),
        (b"cluster: x\n" + b"# x\n" * 1_000_000, "too long"),
        (b"a: &a [x]\nb: [*a, *a]\n", "anchors are not allowed"),
    ],
)
def test_a_damaged_cluster_file_is_told_with_its_place(sretool, entry, raw, says):
    entry.write("broken", raw=raw)
    ends(limited(sretool, "runbook", "etcd-nospace", "--cluster", "broken"), 2, "broken.yaml", says)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (endpoints(client="https://127.0.0.1:99999"), "is not a URL"),
        (endpoints(client="https://127.0.0.1:abc"), "is not a URL"),
        (endpoints(metrics="http://[::1:2381"), "is not a URL"),
        (lambda document: document.update(cluster="prod"), "the file is called broken.yaml"),
        (lambda document: document["etcd"].pop("key"), "cert and key belong together"),
        (lambda document: document.update(etdc={}), "unknown field"),
    ],
)
def test_a_wrong_cluster_file_is_refused_before_a_run_begins(sretool, entry, change, says):
    entry.write("broken", change)
    ends(limited(sretool, "runbook", "etcd-nospace", "--cluster", "broken"), 2, says, "next:")
    assert sretool.run_ids() == []


def test_a_cluster_file_that_is_a_pipe_is_not_waited_for(sretool, entry):
    path = entry.folder / "pipe.yaml"
    os.mkfifo(path)
    entry.made.append(path)
    ends(limited(sretool, "cluster", "status", "--cluster", "pipe"), 2, "is a pipe")


def certificates(lab, folder):
    stranger = broken_client(lab, folder, "unknown authority")
    expired = broken_client(lab, folder, "expired")
    mismatched = broken_client(lab, folder, "mismatched key")
    good = issue_client(Pair(lab.ca, lab.ca_key), folder, name="good")
    other = create_authority(folder, name="other-ca")
    (folder / "empty").touch()
    os.mkfifo(folder / "pipe")
    return {
        "expired": (access(cert=expired.cert, key=expired.key), "expired on"),
        "unknown authority": (access(cert=stranger.cert, key=stranger.key), "does not know the CA"),
        "mismatched": (access(cert=mismatched.cert, key=mismatched.key), "does not belong to"),
        "missing": (access(cert=folder / "no", key=folder / "no"), "No such file"),
        "a folder": (access(cert=folder, key=folder), "Is a directory"),
        "empty": (access(cert=folder / "empty", key=good.key), "holds no certificate"),
        "another CA": (access(ca=other.cert), "signed by a CA that is not in"),
        "CA is a pipe": (access(ca=folder / "pipe"), "no regular file"),
        "wrong name": (endpoints(server_name="other.example"), "is not valid for other.example"),
        "http for https": (lambda d: endpoints(client=_plain(d))(d), "the URL says http://"),
        "refused": (endpoints(client="https://127.0.0.1:1", metrics=""), "is refused"),
        "no such host": (endpoints(client="https://no-such-host.invalid:2379"), "no-such-host.invalid"),
    }


def _plain(document):
    return document["etcd"]["members"][0]["client"].replace("https", "http")


def test_the_cause_of_a_failed_connection_is_named(lab, sretool, entry, tmp_path):
    for name, (change, says) in certificates(lab, tmp_path).items():
        entry.write("unreachable", change)
        done = limited(sretool, "runbook", "etcd-nospace", "--plan", "--cluster", "unreachable")
        assert done.returncode == 8, (name, done.stdout, done.stderr)
        ends(done, 8, says, "cluster doctor")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("-p", "x"), "is not KEY=VALUE"),
        (("-p", "windw=1s"), "did you mean window"),
        (("-p", "window=1:30"), "is not a duration"),
        (("-p", "window=10"), "write 10s"),
        (("-p", "window=0s"), "window"),
        (("-p", "window=99999h"), "window"),
        (("-p", f"window={'9' * 400}h"), "longer than"),
        (("-p", f"reclaim_floor={'9' * 400}"), "more than"),
        (("-p", "reclaim_floor=-5Mi"), "is not a quantity"),
        (("--approve", "irreversible", "--plan"), "nothing for --approve"),
        (("--accept", "margin"), "only a person"),
    ],
)
def test_a_wrong_parameter_is_refused_and_leaves_no_run(sretool, given, says):
    ends(limited(sretool, "runbook", "etcd-latency", *given), 2, says, "next:")
    assert sretool.run_ids() == []


def test_a_folder_of_broken_runbooks_hides_none_of_the_good_ones(sretool, tmp_path):
    (tmp_path / "broken.yaml").write_text("runbook: broken\nsteps: [{id: 1}]\n")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    os.mkfifo(tmp_path / "pipe.yaml")
    folders = f"{tmp_path}:/nonexistent:~nobody-knows-me/x"
    done = limited(sretool, "runbook", env={"SRETOOL_RUNBOOKS": folders})
    ends(done, 0, "etcd-latency", "broken", "binary", "loop", "cannot be used")


@pytest.fixture
def plan(sretool, tmp_path):
    path = tmp_path / "plan.json"
    assert limited(sretool, "runbook", "etcd-nospace", "--save", path).returncode == 0
    return path


def test_a_plan_file_that_is_none_is_refused(sretool, plan, tmp_path):
    saved = json.loads(plan.read_text())
    cases = [
        (b"", 2, "not a plan"),
        (plan.read_bytes()[:200], 2, "not a plan"),
        (b"[" * 100_000, 2, "not a plan"),
        (json.dumps(saved | {"format": 99}).encode(), 2, "format 99"),
        (json.dumps(saved | {"made_at": "2026-01-01T00:00:00"}).encode(), 2, "not a plan"),
        (json.dumps(saved | {"made_at": "2020-01-01T00:00:00Z"}).encode(), 4, "minutes ago"),
        (json.dumps(saved | {"made_at": "2999-01-01T00:00:00Z"}).encode(), 4, "yet to come"),
        (json.dumps(saved | {"cluster": "../x"}).encode(), 2, "no cluster named"),
    ]
    for content, code, says in cases:
        plan.write_bytes(content)
        ends(limited(sretool, "apply", plan), code, says, "next:")
    ends(limited(sretool, "apply", "/dev/zero"), 2, "longer than any plan")
    os.mkfifo(tmp_path / "pipe")
    ends(limited(sretool, "runbook", "etcd-nospace", "--save", tmp_path / "pipe"), 4, "cannot save the plan")


def test_a_plan_that_a_full_disk_does_not_take_ends_in_one_code_everywhere(sretool):
    done = limited(sretool, "runbook", "etcd-nospace", "--save", "/dev/full", "--output", "json")
    ending = json.loads(done.stdout)["ending"]
    (end,) = [one["body"] for one in sretool.journal() if one["kind"] == "end"]
    assert (4, 4, 4) == (done.returncode, ending["exit_code"], end["exit_code"])
    assert ending["sentence"] == "cannot save the plan to /dev/full: No space left on device"
    assert "sretool apply" not in done.stderr


def test_where_no_plan_can_be_saved_nothing_is_read(sretool, tmp_path):
    ends(limited(sretool, "runbook", "etcd-nospace", "--save", tmp_path / "no" / "plan"), 2, "no folder")
    assert [] == sretool.run_ids()


def test_a_damaged_journal_is_reported_and_nothing_is_resumed_from_it(sretool):
    assert limited(sretool, "runbook", "etcd-nospace", "--plan").returncode == 0
    (run,) = sretool.run_ids()
    journal = sretool.state / "sretool" / "runs" / run / "journal.jsonl"
    whole = journal.read_bytes()
    first, second, *rest = whole.split(b"\n")
    for content in (
        b"",
        b"\xff\xfe\x00\n",
        b"\n".join([second, first, *rest]),
        b"\n".join([first, *rest]),
        whole.replace(b'"bad"', b'"dab"', 1),
        first.replace(b'"text"', b'"txet"') + b"\n",
    ):
        journal.write_bytes(content)
        for command in ("report", "resume", "undo"):
            ends(limited(sretool, command, run), 4, "journal")
        ends(limited(sretool, "report"), 0, run)
    journal.unlink()
    journal.mkdir()
    ends(limited(sretool, "resume", run), 4, "Is a directory")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root (mounts a small tmpfs)")
@pytest.mark.parametrize("free_bytes", [0, 4096, 12288])
def test_a_look_survives_a_full_state_disk(sretool, tmp_path, free_bytes):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=True)
    try:
        (disk / "filled").write_bytes(b"x" * (60 * 1024 - free_bytes))
        look = limited(sretool, "runbook", "etcd-defrag", "--plan", env={"XDG_STATE_HOME": str(disk)})
        assert "a bug in sretool" not in look.stderr
        assert look.returncode in (0, 4)
    finally:
        subprocess.run(["umount", disk], check=True)


def test_lost_results_are_told_and_never_called_nothing(sretool):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "sretool", "cluster", "status"],
            stdout=full,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
            timeout=SECONDS,
            env=sretool.environment,
        )
    assert done.returncode == 4
    assert "standard output could not be written" in done.stderr
    assert "nothing was changed" not in done.stderr


def test_reads_that_are_not_permitted_are_no_lost_quorum(lab, sretool):
    _etcdctl(lab, "user", "add", "root:secret")
    _etcdctl(lab, "user", "grant-role", "root", "root")
    _etcdctl(lab, "auth", "enable")
    try:
        done = limited(sretool, "runbook", "etcd-latency", "--plan", "-p", "window=1s")
        ends(done, 8, "permission denied")
        assert "no quorum" not in done.stdout
        assert "no leader" not in done.stdout
    finally:
        _etcdctl(lab, "--user=root:secret", "auth", "disable")


def _etcdctl(lab, *arguments):
    member = lab.members[0]
    folder = lab.ca.parent
    subprocess.run(
        [
            lab.ca.parent.parent / "bin" / "etcdctl",
            f"--cacert={lab.ca}",
            f"--cert={folder / 'client.crt'}",
            f"--key={folder / 'client.key'}",
            f"--endpoints={member.client_url}",
            *arguments,
        ],
        check=True,
        capture_output=True,
        timeout=SECONDS,
    )
