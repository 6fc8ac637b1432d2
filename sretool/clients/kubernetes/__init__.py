"""sretool's own Kubernetes client: JSON in and out, a deadline on every call, reading and writing two classes.

Importing it is cheap: the kubernetes package, a transport here, is loaded with the first call.
"""

from sretool.clients.kubernetes.connection import Connection
from sretool.clients.kubernetes.reads import KubernetesReads
from sretool.clients.kubernetes.request import IN_CLUSTER, ListedPage
from sretool.clients.kubernetes.writes import KubernetesWrites

__all__ = ["IN_CLUSTER", "Connection", "KubernetesReads", "KubernetesWrites", "ListedPage"]
