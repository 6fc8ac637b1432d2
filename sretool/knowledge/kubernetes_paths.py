"""Where the Kubernetes API keeps its objects: paths, built from group, version, plural and names."""

from urllib.parse import quote


def collection_path(api_version: str, plural: str, *, namespace: str = "") -> str:
    """Return the path of a collection: `("apps/v1", "deployments", namespace="web")`; all namespaces if empty."""
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    scope = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    return f"{root}{scope}/{plural}"


def object_path(
    api_version: str, plural: str, name: str, *, namespace: str = "", subresource: str = ""
) -> str:
    """Return the path of one object, or of its subresource such as `scale`."""
    path = f"{collection_path(api_version, plural, namespace=namespace)}/{quote(name, safe=':')}"
    return f"{path}/{subresource}" if subresource else path
