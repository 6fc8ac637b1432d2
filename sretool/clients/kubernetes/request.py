"""One request to the API server, as a value: its path is checked before anything is sent."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from sretool.errors import UsageError

JSON = "application/json"
APPLY_PATCH = "application/apply-patch+yaml"

IN_CLUSTER = "in-cluster"
"""Instead of a kubeconfig's path: the service account of the pod that sretool runs in."""

# What a path may hold without being read as something else: no query, no fragment, no step upwards.
_PATH = re.compile(r"(/[A-Za-z0-9._~:%@$&!*'(),;=+-]+)+")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """`query` holds each parameter once; `body` is JSON, None where there is none."""

    method: str
    path: str
    query: Mapping[str, str] = {}
    body: Any = None
    content_type: str = JSON

    def __post_init__(self) -> None:
        if not _PATH.fullmatch(self.path) or {"..", "."} & set(self.path.split("/")):
            raise UsageError(f"{self.path!r} is not a path of the Kubernetes API; nothing was sent")

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class ListedPage(msgspec.Struct, frozen=True, kw_only=True):
    """So many `objects` of a collection as they were listed in a page of `limit`. `place` leads to the same ones
    again, and to none that came since, for as long as etcd has that revision."""

    objects: int
    limit: int
    place: Mapping[str, str]
