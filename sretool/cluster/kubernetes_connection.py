"""One connection to the API server, opened when first needed, shared by the readers and writers of a run."""

import functools
from concurrent.futures import ThreadPoolExecutor

from sretool.clients.kubernetes import Connection, KubernetesReads, KubernetesWrites
from sretool.cluster.inventory import KubernetesAccess

THREADS = 16


class KubernetesConnection:
    """The API server of one cluster, and the threads that ask it side by side."""

    def __init__(self, access: KubernetesAccess) -> None:
        self._open = Connection(access.kubeconfig, access.context)
        self.reads = KubernetesReads(self._open)
        self.writes = KubernetesWrites(self._open)

    @functools.cached_property
    def pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="kubernetes")

    def close(self) -> None:
        """Close the sockets; the threads end with their calls' deadlines."""
        if "pool" in self.__dict__:
            self.pool.shutdown(wait=False, cancel_futures=True)
        self._open.close()
