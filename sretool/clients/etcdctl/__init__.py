"""etcd through etcdctl, run where only it reaches etcd: the same reads as by gRPC, and fewer writes."""

from sretool.clients.etcdctl.connection import Etcdctl, EtcdctlConnection

__all__ = ["Etcdctl", "EtcdctlConnection"]
