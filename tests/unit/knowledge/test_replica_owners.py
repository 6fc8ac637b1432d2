"""Who would put an object back: by labels, annotations, field managers and owner references."""

import pytest

from sretool.knowledge.replica_owners import controllers_of, find_gitops, gitops_owns, owners_of

REPLICAS = {"f:spec": {"f:replicas": {}, "f:selector": {}}}


def written_by(manager, fields=REPLICAS):
    return {"metadata": {"managedFields": [{"manager": manager, "operation": "Update", "fieldsV1": fields}]}}


@pytest.mark.parametrize(
    ("expected", "metadata"),
    [
        (None, {}),
        (None, {"labels": {"app.kubernetes.io/managed-by": "Helm"}}),  # puts back with the next upgrade only
        ("Flux kustomization flux-system/apps", {"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}),
        (
            "Flux helmrelease team/shop",
            {"labels": {"helm.toolkit.fluxcd.io/name": "shop", "helm.toolkit.fluxcd.io/namespace": "team"}},
        ),
        (
            None,
            {
                "labels": {"kustomize.toolkit.fluxcd.io/name": "apps"},
                "annotations": {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"},
            },
        ),
        ("Argo CD application shop", {"labels": {"argocd.argoproj.io/instance": "shop"}}),
        (
            "Argo CD application shop",
            {"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:web/app"}},
        ),
        ("field manager argocd-controller", written_by("argocd-controller")["metadata"]),
        ("field manager kustomize-controller", written_by("kustomize-controller")["metadata"]),
        (None, written_by("kubectl-client-side-apply")["metadata"]),
        (None, written_by("kube-controller-manager")["metadata"]),
    ],
)
def test_gitops_is_known_by_its_marks(expected, metadata):
    found = find_gitops({"metadata": metadata})
    assert (found.name if found else None) == expected


def test_the_owner_of_the_replicas_is_the_manager_of_that_field_and_not_of_others():
    assert owners_of(written_by("argocd-controller"), "replicas") == ("argocd-controller",)
    assert gitops_owns(written_by("argocd-controller"), "replicas")
    only_selector = written_by("argocd-controller", {"f:spec": {"f:selector": {}}})
    assert owners_of(only_selector, "replicas") == ()
    assert not gitops_owns(only_selector, "replicas")


def test_only_a_controlling_owner_keeps_an_object():
    owners = [{"kind": "Shop", "name": "main", "controller": True}, {"kind": "Namespace", "name": "other"}]
    assert controllers_of({"metadata": {"ownerReferences": owners}}) == ("Shop/main",)
    assert controllers_of({"metadata": {}}) == ()
