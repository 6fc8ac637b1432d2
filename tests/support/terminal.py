"""A person at a terminal: starts a command on a pseudo-terminal of its own, reads what it shows, types."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time

TIME_LIMIT_SECONDS = 60

# The child makes the terminal its controlling one, so that /dev/tty and Ctrl-C are what they are for a person.
_CHILD = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"


class Person:
    """Runs `command` on a terminal; `stdout` may be another file for what a person redirects."""

    def __init__(self, command, *, env, columns=80, stdout=None, cwd=None):
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CHILD, *command],
            stdin=slave,
            stdout=stdout or slave,
            stderr=slave,
            start_new_session=True,
            env={"TERM": "xterm"} | env,
            cwd=cwd,
        )
        os.close(slave)
        self.seen = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        os.close(self._master)

    def wait_for(self, text):
        """Read until `text` was shown."""
        ends = time.monotonic() + TIME_LIMIT_SECONDS
        while text not in self.seen:
            if time.monotonic() > ends or not self._read(1.0):
                raise AssertionError(f"{text!r} was not shown:\n{self.seen}")

    def type(self, text):
        """Type `text` (\\r is the return key, \\x03 Ctrl-C, \\x04 Ctrl-D)."""
        os.write(self._master, text.encode())

    def end(self):
        """Read to the end and return the exit code."""
        ends = time.monotonic() + TIME_LIMIT_SECONDS
        while time.monotonic() < ends and self._read(1.0):
            pass
        return self._process.wait(TIME_LIMIT_SECONDS)

    def _read(self, seconds):
        """Read what there is; False at the end (EIO: nobody holds the other side any more)."""
        ready, _, _ = select.select([self._master], [], [], seconds)
        if not ready:
            return self._process.poll() is None
        try:
            got = os.read(self._master, 65536)
        except OSError:
            return False
        self.seen += got.decode("utf-8", "replace")
        return bool(got)
