"""Clusters: which there are, how they are reached, and who may read or write them.

Names are loaded with their first use: a glance at the members needs neither reader nor writer.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sretool.cluster.cluster import Cluster, ClusterReader, ClusterWriter
    from sretool.cluster.inventory import ClusterEntry, InventoryMember, clusters_folder, require_cluster
else:

    def __getattr__(name: str) -> Any:
        from importlib import import_module

        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = "cluster" if name in {"Cluster", "ClusterReader", "ClusterWriter"} else "inventory"
        return getattr(import_module(f"{__name__}.{home}"), name)


__all__ = [
    "Cluster",
    "ClusterEntry",
    "ClusterReader",
    "ClusterWriter",
    "InventoryMember",
    "clusters_folder",
    "require_cluster",
]
