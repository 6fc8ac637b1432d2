"""Whether the process of a run that did not end is still there."""

import socket

from sretool.engine.lock import find_holder, is_alive
from sretool.engine.runs import locks_folder
from sretool.model import Identity


def is_gone(run_id: str, *, host: str, pid: int, identity: Identity) -> bool:
    """Tell whether nobody is at work on the run any more: its process is gone, and none has taken it up again.

    Of another machine's processes nobody here can tell.
    """
    if host != socket.gethostname() or is_alive(pid):
        return False
    holder = find_holder(locks_folder(), identity)
    return holder is None or holder.run_id != run_id
