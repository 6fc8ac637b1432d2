"""What an error says of how long was waited."""

import time

import pytest

from sretool.clients.kubernetes.errors import Sent, translate_exception


@pytest.mark.parametrize(
    ("timeout", "ago", "told"),
    [(30.0, 30.1, "in 30 s"), (0.3, 0.299, "in 0.3 s"), (30.0, 3.0, "in 3 s")],
    ids=["as asked for", "rounded", "connecting ended it"],
)
def test_the_seconds_are_those_that_were_waited(timeout, ago, told):
    began = time.monotonic() - ago
    sent = Sent(request="GET /x", server="https://a", timeout_seconds=timeout, writes=False, began=began)
    assert translate_exception(TimeoutError(), sent).message.endswith(told)
