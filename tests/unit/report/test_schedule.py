"""What a scheduler is given: every file as it stands, and the times in it that belong together."""

import shlex

import msgspec
import pytest
import yaml

from sretool.cluster.inventory import (
    ClusterEntry,
    EtcdAccess,
    InventoryMember,
    KubernetesAccess,
    parse_cluster,
)
from sretool.errors import EXIT_CODES
from sretool.knowledge.rights import EVERY_RUN, LOCK, to_write
from sretool.knowledge.stalls import defrag_deadline
from sretool.knowledge.window import Window
from sretool.report.schedule import (
    ScheduledJob,
    render_cronjob,
    render_dockerfile,
    render_service,
    render_timer,
)
from tests.support.golden import assert_golden

PKI = "/etc/kubernetes/pki/etcd"
ENTRY = ClusterEntry(
    cluster="prod",
    etcd=EtcdAccess(
        members=tuple(
            InventoryMember(name=f"cp{n}", client=f"https://10.0.0.{n}:2379", peer=f"https://10.0.0.{n}:2380")
            for n in (1, 2, 3)
        ),
        ca=f"{PKI}/ca.crt",
        cert=f"{PKI}/healthcheck-client.crt",
        key=f"{PKI}/healthcheck-client.key",
    ),
    kubernetes=KubernetesAccess(kubeconfig="/etc/kubernetes/admin.conf", context="prod"),
)
JOB = ScheduledJob(
    runbook="etcd-defrag",
    summary="give free pages back",
    entry=ENTRY,
    approve="disruptive",
    window=Window.parse("Sun 02:00-04:00 UTC"),
    largest_bytes=8 << 30,
    given={"reclaim_floor": "500Mi"},
    rights=(*EVERY_RUN, *LOCK, to_write("create", "leases", "coordination.k8s.io", namespace="kube-system")),
)


def objects(job=JOB):
    found = list(yaml.safe_load_all(render_cronjob(job, node="cp1", image="sretool:9")))
    return {one["kind"]: one for one in found if one}


def pod(job=JOB):
    return objects(job)["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def service(job=JOB, *, config_home="/etc"):
    return render_service(job, program="/usr/bin/sretool", config_home=config_home)


def setting(unit, name):
    return next(line.partition("=")[2] for line in unit.splitlines() if line.startswith(f"{name}="))


def test_the_cronjob_reads_as_it_always_has():
    assert_golden("schedule/cronjob.yaml", render_cronjob(JOB, node="cp1", image="sretool:9"))


def test_the_units_read_as_they_always_have():
    assert_golden("schedule/systemd.txt", service() + "\n" + render_timer(JOB))


def test_the_image_installs_this_version():
    assert "COPY sretool-1.2.3-py3-none-any.whl" in render_dockerfile("1.2.3")


def test_both_run_the_same_command():
    inside = pod()["containers"][0]["command"]
    assert inside[0] == "sretool"
    assert inside[1:] == shlex.split(setting(service(), "ExecStart"))[1:] == JOB.command("")[1:]
    for words in (
        ["--approve", "disruptive"],
        ["--window", "Sun 02:00-04:00 UTC"],
        ["-p", "reclaim_floor=500Mi"],
    ):
        assert words == inside[inside.index(words[0]) :][:2]


def test_what_is_killed_has_had_time_to_finish_the_longest_defragmentation():
    longest = defrag_deadline(JOB.largest_bytes)
    assert pod()["terminationGracePeriodSeconds"] > longest
    assert int(setting(service(), "TimeoutStopSec")) > longest


def test_a_run_that_began_late_ends_within_the_window():
    spec = objects()["CronJob"]["spec"]
    last = spec["startingDeadlineSeconds"] + spec["jobTemplate"]["spec"]["activeDeadlineSeconds"]
    assert last + pod()["terminationGracePeriodSeconds"] <= JOB.window.seconds
    late = int(setting(render_timer(JOB), "RandomizedDelaySec"))
    assert (
        late + int(setting(service(), "TimeoutStartSec")) + int(setting(service(), "TimeoutStopSec"))
        <= JOB.window.seconds
    )


def test_every_exit_code_but_0_has_exactly_one_rule_and_none_repeats_the_run():
    job = objects()["CronJob"]["spec"]["jobTemplate"]["spec"]
    rules = job["podFailurePolicy"]["rules"]
    codes = [code for rule in rules for code in rule.get("onExitCodes", {"values": []})["values"]]
    assert sorted(codes) == sorted(set(EXIT_CODES) - {0})
    assert {rule["action"] for rule in rules} == {"FailJob"}
    assert (job["backoffLimit"], pod()["restartPolicy"]) == (0, "Never")
    assert objects()["CronJob"]["spec"]["concurrencyPolicy"] == "Forbid"


def test_the_pod_finds_its_cluster_its_certificates_and_its_journal():
    flags = {"etcd_prefix": "/k8s", "etcd_overrides": "/events#https://10.0.0.9:2379"}
    outside = KubernetesAccess(kubeconfig="/etc/kube/config", context="prod", **flags)
    job = msgspec.structs.replace(JOB, entry=msgspec.structs.replace(ENTRY, kubernetes=outside))
    inside = parse_cluster(objects(job)["ConfigMap"]["data"]["prod.yaml"], origin="prod.yaml")
    here = KubernetesAccess(kubeconfig="in-cluster", **flags)
    assert inside == msgspec.structs.replace(ENTRY, kubernetes=here)
    mounts = {one["mountPath"]: one for one in pod()["containers"][0]["volumeMounts"]}
    paths = {one["name"]: one["hostPath"]["path"] for one in pod()["volumes"] if "hostPath" in one}
    for path in (ENTRY.etcd.ca, ENTRY.etcd.cert, ENTRY.etcd.key):
        assert mounts[path]["readOnly"]
        assert paths[mounts[path]["name"]] == path
    assert paths["state"] == "/var/lib/sretool"
    assert pod()["nodeSelector"] == {"kubernetes.io/hostname": "cp1"}


def test_without_the_api_server_there_is_no_role_and_no_token():
    job = msgspec.structs.replace(JOB, entry=msgspec.structs.replace(ENTRY, kubernetes=None))
    assert set(objects(job)) == {"ServiceAccount", "ConfigMap", "CronJob"}
    assert pod(job)["automountServiceAccountToken"] is False


def test_every_role_is_bound_to_the_service_account():
    assert {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"} <= set(objects())
    for kind in ("Role", "ClusterRole"):
        binding = objects()[f"{kind}Binding"]
        assert binding["roleRef"]["name"] == objects()[kind]["metadata"]["name"]
        assert binding["subjects"][0]["name"] == objects()["ServiceAccount"]["metadata"]["name"]


@pytest.mark.parametrize(("home", "word"), [("/etc", "yes"), ("/run/user/0", "read-only")])
def test_home_folders_are_seen_only_where_the_configuration_is_there(home, word):
    assert setting(service(config_home=home), "ProtectHome") == word


def test_what_systemd_would_expand_is_written_twice():
    job = msgspec.structs.replace(JOB, given={"about": 'a "50%" of $x'})
    assert r'"about=a \"50%%\" of $$x"' in setting(service(job), "ExecStart")
