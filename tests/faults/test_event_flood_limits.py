"""What the runbook event-flood must not do on a real API server: more than it was told, past one that works, or
against a source that goes on."""

import contextlib
import datetime
import itertools
import sys
import threading

import pytest
import yaml

from sretool.errors import NotFoundError
from sretool.lab import LabSpec
from sretool.lab.faults import FaultOptions, raise_fault
from tests.support.beside import beside
from tests.support.etcd_cluster import running_lab
from tests.support.filled import keys_in_etcd
from tests.support.http_stub import Reply, serve
from tests.support.sretool_cli import Sretool

pytestmark = [pytest.mark.real, pytest.mark.slow]

NAME = "limits"


@pytest.fixture(scope="module")
def lab(base):
    with running_lab(base, LabSpec(name=NAME, members=1, kubernetes=True)) as lab:
        yield lab


def flood(lab, namespace, count):
    options = FaultOptions(count=count, namespaces=(namespace,), reasons=("BackOff",), minutes=10)
    raise_fault(lab, "event-flood", "", options)


def words(namespace, *given):
    given = (f"namespaces={namespace}", "reasons=BackOff", *given)
    return ("runbook", "event-flood", *(word for one in given for word in ("-p", one)))


def left(lab, namespace):
    return keys_in_etcd(lab, f"/registry/events/{namespace}/")


def gone(sretool):
    """Return how many events each deletion of the newest run says that it deleted."""
    outcomes = [one["body"] for one in sretool.journal() if one["kind"] == "outcome"]
    return [one["outcome"]["measured"].get("gone") for one in outcomes if one["verb"] != "export-events"]


# -- no more than it was told ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "most", "expected"), [(700, 120, [120]), (1000, 460, [450, 10]), (700, 50, [50])]
)
def test_no_more_are_deleted_than_one_run_may_and_the_end_says_what_is_left(
    lab, base, tmp_path, count, most, expected
):
    namespace = f"most-{most}"
    flood(lab, namespace, count)
    sretool = Sretool(base, NAME, state=tmp_path)
    given = words(namespace, "while_written=true", f"max_objects={most}")
    planned = sretool(*given).stdout
    assert f"{count - most} of {count} BackOff in {namespace} are left to another run" in " ".join(
        planned.split()
    )
    run = sretool(*given, "--approve", "irreversible")
    assert left(lab, namespace) == count - most
    assert gone(sretool) == expected
    assert run.returncode == 9, run.stdout + run.stderr
    told = " ".join((run.stdout + run.stderr).split())
    assert "due again" not in told
    assert "the cause is gone" not in told
    assert f"{count - most} of them are left to another run: this one has deleted {most}" in told


# -- not past a server that works --------------------------------------------------------------------------------------


def exec_plugin(_cluster, user, folder):
    login = folder / "login"
    login.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('token expired')\n")
    login.chmod(0o700)
    user.clear()
    user["exec"] = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(login)}


def authority(cluster, _user, _folder):
    cluster.pop("certificate-authority", None)
    cluster["certificate-authority-data"] = "bm8gY2VydGlmaWNhdGU="


def proxy(cluster, _user, _folder):
    with serve(lambda asked: Reply()) as (_, url):
        cluster["proxy-url"] = url


def path_prefix(cluster, _user, _folder):
    cluster["server"] += "/k8s/clusters/c-1"


@pytest.mark.parametrize("broken", [exec_plugin, authority, proxy, path_prefix])
def test_a_kubeconfig_that_is_broken_here_does_not_open_the_way_into_etcd(lab, base, tmp_path, broken):
    name = f"broken-{broken.__name__.replace('_', '-')}"
    flood(lab, name, 150)
    config = yaml.safe_load(lab.kubeconfig.read_text())
    broken(config["clusters"][0]["cluster"], config["users"][0]["user"], tmp_path)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    entry = lab.cluster_file.read_text().replace(f"cluster: {NAME}\n", f"cluster: {name}\n")
    entry = entry.replace(str(lab.kubeconfig), str(kubeconfig))
    lab.cluster_file.with_name(f"{name}.yaml").write_text(entry)
    run = Sretool(base, name, state=tmp_path)(*words(name, "while_written=true"), "--approve", "irreversible")
    assert left(lab, name) == 150
    assert run.returncode == 8, run.stdout + run.stderr
    told = " ".join((run.stdout + run.stderr).split())
    assert "whether the API server works cannot be told from here" in told
    assert "kubectl get --raw /version" in told


# -- not against a source that goes on ---------------------------------------------------------------------------------


@contextlib.contextmanager
def repeated(lab, namespace):
    """Tell the events of a namespace again and again, as client-go's recorder does: patched, or made anew."""
    path = f"/api/v1/namespaces/{namespace}/events"
    with lab.api() as api:
        events = api.items(path)

    def tell(ended):
        with lab.api() as api:
            for count, event in zip(itertools.count(2), itertools.cycle(events), strict=False):
                if ended.is_set():
                    return
                now = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"
                again = {"count": count, "lastTimestamp": now}
                try:
                    api.patch(f"{path}/{event['metadata']['name']}", again)
                except NotFoundError:
                    made = {"name": event["metadata"]["name"], "namespace": namespace}
                    api.create(path, event | again | {"metadata": made})

    with beside(tell):
        yield


def test_events_that_are_told_again_and_again_are_still_written_and_what_came_back_is_new(
    lab, base, tmp_path
):
    flood(lab, "repeated", 120)
    sretool = Sretool(base, NAME, state=tmp_path)
    with repeated(lab, "repeated"):
        threading.Event().wait(3.0)
        refused = sretool(*words("repeated"), "--approve", "irreversible")
        forced = sretool(*words("repeated", "while_written=true"), "--approve", "irreversible")
    assert refused.returncode == 4, refused.stdout + refused.stderr
    assert "deleting cannot help: kubelet wrote" in " ".join(refused.stdout.split())
    told = " ".join((forced.stdout + forced.stderr).split())
    (deleted,) = gone(sretool)
    assert deleted >= 120, told
    assert "nothing was changed" not in told
    assert "of this reason were written since" in told
    assert forced.returncode == 9, told
    assert "the cause remains: delete BackOff in repeated: deleting cannot help" in told
