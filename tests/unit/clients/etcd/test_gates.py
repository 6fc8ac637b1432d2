"""What a reader can send, by request and by type."""

from typing import Any

import pytest

from sretool.clients.etcd import Endpoint, EtcdReads, EtcdWrites
from sretool.clients.etcd.connection import Connection
from sretool.clients.etcd.gates import ReadGate, WriteGate
from sretool.clients.etcd.rpcs import (
    ALARM,
    ALARM_ACTIVATE,
    ALARM_DEACTIVATE,
    ALARM_GET,
    READING,
    STATUS,
    WRITING,
    Rpc,
)
from sretool.errors import SretoolError


class _Channel:
    """Records what would be sent; answers nothing."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def unary_unary(self, path: str, **_: Any) -> Any:
        def call(request: Any, timeout: float) -> Any:
            self.sent.append(path)
            return request

        return call

    unary_stream = stream_stream = unary_unary


@pytest.fixture
def channel() -> _Channel:
    return _Channel()


@pytest.fixture
def gate(channel: _Channel) -> ReadGate:
    return ReadGate(Connection(Endpoint("m1", "http://127.0.0.1:1"), None, channel=channel))


@pytest.mark.parametrize("rpc", sorted(WRITING - READING, key=str), ids=str)
def test_a_reader_sends_no_writing_request(gate: ReadGate, channel: _Channel, rpc: Rpc) -> None:
    for send in (gate.unary, gate.stream):
        with pytest.raises(SretoolError, match=rf"a reader was asked to send {rpc} .* nothing was sent"):
            send(rpc, {}, timeout_seconds=1)
    assert channel.sent == []


@pytest.mark.parametrize("action", [ALARM_ACTIVATE, ALARM_DEACTIVATE, 3])
def test_a_reader_sends_no_alarm_request_but_get(gate: ReadGate, channel: _Channel, action: int) -> None:
    with pytest.raises(SretoolError, match=f"send Alarm with action {action}"):
        gate.unary(ALARM, {"action": action}, timeout_seconds=1)
    assert channel.sent == []
    gate.unary(ALARM, {"action": ALARM_GET}, timeout_seconds=1)
    assert channel.sent == ["/etcdserverpb.Maintenance/Alarm"]


def test_a_request_nobody_listed_is_sent_by_no_gate(gate: ReadGate, channel: _Channel) -> None:
    auth = Rpc("Auth/UserAdd", "Empty", "Empty")
    writer = WriteGate(Connection(Endpoint("m1", "http://127.0.0.1:1"), None, channel=channel))
    for one, rpc in ((gate, auth), (writer, auth), (writer, STATUS)):
        with pytest.raises(SretoolError, match="nothing was sent"):
            one.unary(rpc, {}, timeout_seconds=1)
    assert channel.sent == []


def test_alarm_alone_is_both_a_reading_and_a_writing_request() -> None:
    assert {ALARM} == READING & WRITING


def test_no_method_is_both_a_reader_s_and_a_writer_s() -> None:
    def methods(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    assert methods(EtcdReads) & methods(EtcdWrites) == {"endpoint"}
