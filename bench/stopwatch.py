"""Run one command and write its seconds, peak memory and exit code: `stopwatch.py REPORT COMMAND…`.

A process of its own, and a small one: Linux counts the memory of the process that started a command as the
command's own peak, so a Python with gRPC in it would be the least that any command needs.
"""

import os
import sys
import time

began = time.perf_counter()
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
seconds = time.perf_counter() - began
with open(sys.argv[1], "w", encoding="ascii") as report:  # noqa: PTH123 - pathlib would be most of this process
    report.write(f"{seconds} {usage.ru_maxrss} {os.waitstatus_to_exitcode(status)}")
