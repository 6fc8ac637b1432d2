"""sretool, killed with SIGKILL at a chosen point: `python -m tests.support.crashing POINT ARGUMENTS…`.

POINT is `record:N` (just after the Nth journal append is on disk), `torn:N` (after half of the Nth append), or
`before:N`, `inside:N`, `after:N` for the Nth call of a method of the etcd or the Kubernetes writer.
"""

import os
import signal
import sys
import threading

from sretool.cluster.etcd_writer import EtcdWriter
from sretool.cluster.kubernetes_writer import KubernetesWriter
from sretool.engine.journal import Journal

WRITES = {
    EtcdWriter: (
        "compact",
        "defragment",
        "move_leader",
        "disarm",
        "prove_write",
        "save_snapshot",
        "delete_unchanged",
    ),
    KubernetesWriter: ("apply", "patch", "put", "post", "delete", "delete_collection"),
}


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def crash_at_record(number, *, torn):
    append = Journal._append
    seen = []

    def counted(self, entries):
        seen.append(entries)
        if torn and len(seen) == number:
            before = os.fstat(self._descriptor).st_size
            append(self, entries)
            written = os.fstat(self._descriptor).st_size - before
            os.ftruncate(self._descriptor, before + written // 2)
            die()
        append(self, entries)
        if len(seen) == number:
            die()

    Journal._append = counted


def crash_at_write(number, place):
    seen = []

    def wrap(writer, name):
        method = getattr(writer, name)

        def counted(self, *args, **kwargs):
            seen.append(name)
            hit = len(seen) == number
            if hit and place == "before":
                die()
            if hit and place == "inside":
                threading.Timer(0.004, die).start()
            answer = method(self, *args, **kwargs)
            if hit:
                die()
            return answer

        setattr(writer, name, counted)

    for writer, names in WRITES.items():
        for name in names:
            wrap(writer, name)


def main():
    place, number = sys.argv[1].split(":")
    if place in ("record", "torn"):
        crash_at_record(int(number), torn=place == "torn")
    else:
        crash_at_write(int(number), place)
    sys.argv = ["sretool", *sys.argv[2:]]
    from sretool.cli import main as sretool_main

    sretool_main()


if __name__ == "__main__":
    main()
