"""What goes on beside the test: a client, a kubelet, a source of events."""

import contextlib
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def beside(*work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run each of `work` on a thread of its own; the event that it gets is set, and waited for, as the block ends."""
    ended = threading.Event()
    threads = [threading.Thread(target=one, args=(ended,)) for one in work]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()
