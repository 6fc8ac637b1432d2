"""sretool's own etcd client: typed, a deadline on every call, reading and writing two classes.

Importing it is cheap: grpc is loaded with the first call.
"""

from sretool.clients.etcd.connection import Connection, connect
from sretool.clients.etcd.endpoint import Endpoint, TlsFiles
from sretool.clients.etcd.reads import EtcdReads, prefix_end
from sretool.clients.etcd.snapshot import SnapshotStream
from sretool.clients.etcd.writes import Delete, EtcdWrites, Put, TxnResult, Unwritten

__all__ = [
    "Connection",
    "Delete",
    "Endpoint",
    "EtcdReads",
    "EtcdWrites",
    "Put",
    "SnapshotStream",
    "TlsFiles",
    "TxnResult",
    "Unwritten",
    "connect",
    "prefix_end",
]
