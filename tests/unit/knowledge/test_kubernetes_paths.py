"""Where the Kubernetes API keeps its objects."""

import pytest

from sretool.knowledge.kubernetes_paths import collection_path, object_path


@pytest.mark.parametrize(
    ("expected", "path"),
    [
        ("/api/v1/events", collection_path("v1", "events")),
        ("/api/v1/namespaces/web/events", collection_path("v1", "events", namespace="web")),
        (
            "/apis/apps/v1/namespaces/web/deployments",
            collection_path("apps/v1", "deployments", namespace="web"),
        ),
        ("/api/v1/namespaces/web", object_path("v1", "namespaces", "web")),
        (
            "/apis/apps/v1/namespaces/web/deployments/a/scale",
            object_path("apps/v1", "deployments", "a", namespace="web", subresource="scale"),
        ),
        (
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node",
            object_path("rbac.authorization.k8s.io/v1", "clusterroles", "system:node"),
        ),
        ("/api/v1/namespaces/a%2F..%2Fb/pods/c%3Fd", object_path("v1", "pods", "c?d", namespace="a/../b")),
    ],
)
def test_paths_are_the_apis_and_no_name_leaves_its_place(expected: str, path: str) -> None:
    assert expected == path
