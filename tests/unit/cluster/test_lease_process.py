"""Whether the process that holds the Lease has ended can be told on its own machine only."""

import subprocess
import sys

from sretool.cluster.lease import has_ended, this_process


def test_a_process_of_this_boot_has_ended_when_it_is_gone():
    where = this_process().rpartition(" ")[0]
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert not has_ended(this_process())
    assert has_ended(f"{where} {gone.pid}")


def test_nobody_can_tell_of_another_boot_or_of_no_process():
    where, _, _ = this_process().rpartition(" ")
    assert not has_ended(f"another-{where} 4194305")
    assert not has_ended(f"{where} none")
    assert not has_ended("")
