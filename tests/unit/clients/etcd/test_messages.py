"""The table of messages: what is on the wire, and that nothing leaks into protobuf's default pool."""

import subprocess
import sys

import pytest
from google.protobuf import descriptor_pool

from sretool.clients.etcd import rpcs
from sretool.clients.etcd.messages import CLASSES


@pytest.mark.parametrize(
    ("message", "fields", "wire"),
    [
        ("PutRequest", {"key": b"k", "value": b"v", "lease": 1}, "0a016b12017618 01"),
        (
            "AlarmRequest",
            {"action": 2, "memberID": (1 << 64) - 1, "alarm": 1},
            "0802 10ffffffffffffffffff01 1801",
        ),
        ("MoveLeaderRequest", {"targetID": 3}, "0803"),
        ("CompactionRequest", {"revision": 300, "physical": True}, "08ac02 1001"),
        ("RangeRequest", {"key": b"k", "limit": 2, "count_only": True}, "0a016b 1802 4801"),
        ("WatchRequest", {"create_request": {"key": b"k", "start_revision": 1}}, "0a05 0a016b 1801"),
        ("Compare", {"key": b"k", "target": 2, "mod_revision": 0}, "1002 1a016b 3000"),
    ],
)
def test_fields_have_etcd_s_numbers(message: str, fields: dict[str, object], wire: str) -> None:
    assert CLASSES[message](**fields).SerializeToString(deterministic=True) == bytes.fromhex(wire)


def test_every_remote_call_has_its_messages() -> None:
    calls = [one for one in vars(rpcs).values() if isinstance(one, rpcs.Rpc)]
    assert len(calls) == 12
    assert {name for one in calls for name in (one.request, one.response)} <= CLASSES.keys()


def test_member_ids_are_unsigned() -> None:
    wire = CLASSES["Member"](ID=18432491393527565913).SerializeToString()
    assert CLASSES["Member"].FromString(wire).ID == 18432491393527565913


def test_fields_of_a_newer_etcd_are_skipped() -> None:
    assert CLASSES["MemberListRequest"].FromString(bytes.fromhex("0801 fa3e0161")).linearizable


def test_nothing_is_registered_for_other_libraries_to_collide_with() -> None:
    with pytest.raises(KeyError):
        descriptor_pool.Default().FindFileByName("sretool_etcd.proto")


def test_importing_the_client_loads_neither_grpc_nor_protobuf() -> None:
    script = "import sys, sretool.clients.etcd; print([m for m in ('grpc', 'google.protobuf') if m in sys.modules])"
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=True
    )
    assert ended.stdout == "[]\n"
