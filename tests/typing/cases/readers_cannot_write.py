"""Planning cannot change a cluster: what it is given has no method for that."""

from pathlib import Path

from sretool.clients.etcd import Connection, EtcdReads
from sretool.cluster import ClusterReader, ClusterWriter
from sretool.model import Alarm


def what_a_reader_can_do(read: ClusterReader) -> None:
    read.etcd.status()
    read.etcd.alarms()
    read.etcd.keys.value(b"key")


def what_a_reader_cannot_do(read: ClusterReader, alarm: Alarm) -> None:
    read.etcd.compact(7, through="m1", timeout_seconds=1.0)  # error: attr-defined
    read.etcd.defragment("m1", timeout_seconds=1.0)  # error: attr-defined
    read.etcd.move_leader(1, leader="m1")  # error: attr-defined
    read.etcd.disarm(alarm, through="m1")  # error: attr-defined
    read.etcd.prove_write(b"key", through="m1")  # error: attr-defined
    read.etcd.save_snapshot("m1", Path("etcd.db"), timeout_seconds=1.0)  # error: attr-defined
    read.etcd.keys.put(b"key", b"value")  # error: attr-defined


def what_a_writer_can_do(write: ClusterWriter, alarm: Alarm) -> None:
    write.etcd.defragment("m1", timeout_seconds=1.0)
    write.etcd.disarm(alarm, through="m1")


def what_the_client_of_a_reader_cannot_do(connection: Connection) -> None:
    reads = EtcdReads(connection)
    reads.status(timeout_seconds=1.0)
    reads.put(b"key", b"value", timeout_seconds=1.0)  # error: attr-defined
    reads.defragment(timeout_seconds=1.0)  # error: attr-defined
