"""Rights as data: which a stage needs, and the RBAC rules that give exactly those."""

from sretool.knowledge.rights import needed, rule_of, to_read, to_write

LIST, PATCH = to_read("list", "deployments", "apps"), to_write("get patch", "deployments", "apps")
SCALE = to_write("patch", "deployments/scale", "apps")


def test_looking_needs_no_right_to_write_and_applying_needs_both_merged():
    assert needed([LIST, PATCH, SCALE], applying=False) == (LIST,)
    merged, scale = needed([LIST, PATCH, SCALE], applying=True)
    assert (merged.verbs, scale.verbs) == (("list", "get", "patch"), ("patch",))
    assert str(merged) == "list/get/patch deployments.apps"


def test_a_right_that_one_step_always_needs_is_no_longer_conditional():
    only = to_read("list", "pods", only="where `hard` counts them")
    assert [one.only for one in needed([only, to_read("list", "pods")], applying=False)] == [""]
    assert [one.only for one in needed([only, only], applying=False)] == ["where `hard` counts them"]


def test_a_dry_run_is_a_right_to_write_that_looking_needs():
    assert to_read("list patch", "limitranges").is_dry_run
    assert not LIST.is_dry_run
    assert not PATCH.is_dry_run
    assert not to_read("get", "/metrics").is_dry_run


def test_rules_are_what_rbac_reads():
    assert rule_of(SCALE) == {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["patch"]}
    assert rule_of(to_read("get", "/metrics")) == {"nonResourceURLs": ["/metrics"], "verbs": ["get"]}
    leases = to_write("get update", "leases", "coordination.k8s.io", namespace="kube-system")
    assert str(leases) == "get/update leases.coordination.k8s.io in kube-system"
