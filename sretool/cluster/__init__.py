"""Clusters: which there are, how they are reached, and who may read or write them."""

from sretool.cluster.cluster import Cluster, ClusterReader, ClusterWriter
from sretool.cluster.inventory import ClusterEntry, InventoryMember, clusters_folder, require_cluster

__all__ = [
    "Cluster",
    "ClusterEntry",
    "ClusterReader",
    "ClusterWriter",
    "InventoryMember",
    "clusters_folder",
    "require_cluster",
]
