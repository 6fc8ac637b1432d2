"""What is said of a control plane whose API server is reached through something that answers in its place."""

import pytest

from sretool.clock import Deadline
from sretool.cluster import Cluster
from sretool.cluster.inventory import parse_cluster
from sretool.knowledge.control_plane_findings import control_plane_findings
from sretool.lab import LabSpec
from sretool.step import Duration
from sretool.steps.kubernetes_control_plane import KubernetesControlPlane, KubernetesControlPlaneParams
from sretool.steps.kubernetes_load_sources import KubernetesLoadSources
from tests.support.api_gateway import gateway
from tests.support.etcd_cluster import running_lab
from tests.support.http_stub import Reply
from tests.support.promptly import promptly
from tests.support.sretool_cli import Sretool
from tests.support.steps_on_a_lab import CLOCK

pytestmark = pytest.mark.real
STEP = KubernetesControlPlane()
SHORT = KubernetesControlPlaneParams(window=Duration(0.5))
PAGE = b"<html><head><title>Sign in</title></head></html>"
CHECKS = b"".join(b"[+]poststarthook/a-hook-with-a-long-name-%d ok\n" % number for number in range(60))


@pytest.fixture(scope="module")
def lab(base):
    with running_lab(base, LabSpec(name="answers", members=1, kubernetes=True)) as lab:
        yield lab


@pytest.fixture(scope="module")
def through(lab, base):
    with gateway(lab, base, name="gated") as through:
        yield through


@pytest.fixture
def answered(lab, through):
    """Return what the step sees while `instead` (by a path's beginning) is answered in the API server's place."""

    def look(instead):
        through.before = lambda asked: next(
            (reply for path, reply in instead.items() if asked.path.startswith(path)), None
        )
        file = lab.cluster_file.with_name("gated.yaml")
        cluster = Cluster(parse_cluster(file.read_text(), origin=str(file)), CLOCK)
        try:
            return STEP.look(cluster.reader(Deadline(CLOCK, 30), interruptible=False), SHORT)
        finally:
            cluster.close()

    yield look
    through.before = lambda asked: None


def causes(facts):
    return {one.verdict for one in control_plane_findings(facts.plane) if one.is_cause}


def blind(facts):
    return [one.sentence for one in control_plane_findings(facts.plane) if one.blind]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=403, body=PAGE),
        Reply(status=404, body=PAGE),
        Reply(status=429, body=b"later"),
        Reply(status=302, headers={"Location": "https://login.example.com/"}),
    ],
)
def test_who_refuses_in_its_place_is_cannot_tell_and_not_a_server_that_is_not_ready(answered, reply):
    facts = answered({"/readyz": reply})
    assert causes(facts) == set()
    assert any("does not let us look" in sentence for sentence in blind(facts))


def test_a_page_of_a_login_is_neither_ready_nor_metrics(answered):
    facts = answered({"/readyz": Reply(body=PAGE)})
    assert facts.ready == 0
    assert causes(facts) == {"api-silent"}
    facts = answered({"/metrics": Reply(body=PAGE)})
    assert causes(facts) == set()
    assert any("is no API server's page" in sentence for sentence in blind(facts))


def test_the_check_that_fails_is_named_though_fifty_stand_before_it(answered):
    body = CHECKS + b"[-]shutdown failed: reason withheld\nreadyz check failed\n"
    facts = answered({"/readyz": Reply(status=500, body=body)})
    assert causes(facts) == {"api-not-ready"}
    assert facts.plane.servers[0].failing == ("shutdown",)


def test_a_small_read_that_is_refused_is_not_slow(answered):
    denied = Reply(status=403, body={"message": 'User "me" cannot get resource "namespaces"'})
    facts = answered({"/api/v1/namespaces/kube-system": denied})
    assert causes(facts) == set()
    assert any("was not measured" in sentence for sentence in blind(facts))


def slice_of(*addresses, port=6443):
    return Reply(
        body={
            "ports": [{"name": "https", "port": port}],
            "endpoints": [{"addresses": list(addresses), "conditions": {"ready": True}}],
        }
    )


SLICES = "/apis/discovery.k8s.io"


def test_other_api_servers_are_down_where_nobody_listens_and_not_known_where_no_way_leads(answered):
    down = answered({SLICES: slice_of("127.0.0.1", port=1)})
    assert (down.servers, down.ready, causes(down)) == (2, 1, {"api-down"})
    away = answered({SLICES: slice_of("not.a.name.invalid")})
    assert (away.servers, away.ready, causes(away)) == (2, 1, set())
    assert any("registers itself and cannot be reached from here" in sentence for sentence in blind(away))


@pytest.mark.parametrize("body", [{"ports": "x"}, {"endpoints": [None]}, {"ports": [{"name": "https"}]}])
def test_a_slice_that_is_none_is_no_bug(answered, body):
    assert answered({SLICES: Reply(body=body)}).servers == 1


def test_an_exec_plugin_that_fails_is_not_an_api_server_that_is_down_and_leases_are_still_read(
    lab, base, through
):
    entry = lab.cluster_file.with_name("gated.yaml").read_text().replace("cluster: gated", "cluster: plugin")
    broken = base / "plugin.kubeconfig"
    login = '{"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/false"}}'
    broken.write_text((base / "gated.kubeconfig").read_text().replace('{"token": "abc"}', login))
    file = lab.cluster_file.with_name("plugin.yaml")
    file.write_text(entry.replace(str(base / "gated.kubeconfig"), str(broken)))
    cluster = Cluster(parse_cluster(file.read_text(), origin=str(file)), CLOCK)
    step = KubernetesLoadSources()
    try:
        facts = step.look(cluster.reader(Deadline(CLOCK, 30), interruptible=False), step.params_type())
        seen = STEP.look(cluster.reader(Deadline(CLOCK, 30), interruptible=False), SHORT)
    finally:
        cluster.close()
    assert facts.sources.api == "silent"
    assert "exec plugin /bin/false ended with 1" in facts.sources.why
    assert causes(seen) == set()
    assert any("exec plugin /bin/false ended with 1" in sentence for sentence in blind(seen))
    assert "kube-scheduler" in {lease.name for lease in seen.plane.leases}


def test_who_needs_seconds_for_one_event_is_not_asked_for_all_of_them(lab, through):
    through.before = lambda asked: Reply(after_seconds=8) if asked.path.startswith("/api/v1/events") else None
    file = lab.cluster_file.with_name("gated.yaml")
    step = KubernetesLoadSources()

    def look():
        with Cluster(parse_cluster(file.read_text(), origin=str(file)), CLOCK) as cluster:
            reader = cluster.reader(Deadline(CLOCK, 30), interruptible=False)
            return step.look(reader, step.params_type())

    try:
        facts = promptly(look, seconds=4)
    finally:
        through.before = lambda asked: None
    assert (facts.sources.api, facts.runaways) == ("silent", facts.events)
    assert "got no answer in 2 s" in facts.sources.why


def test_a_server_that_is_no_api_server_is_told_by_the_doctor_and_no_bug(base, through):
    through.before = lambda asked: Reply(body={"metadata": None, "status": None, "items": None})
    try:
        done = Sretool(base, "gated")("cluster", "doctor")
    finally:
        through.before = lambda asked: None
    assert done.returncode == 8, done.stdout + done.stderr
    assert done.stderr == ""
    assert "answered, but not as an API server does" in " ".join(done.stdout.split())
