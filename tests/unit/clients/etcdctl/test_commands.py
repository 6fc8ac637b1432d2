"""Which etcdctl stands for which request, which of them a reader may run, and what a writer may run."""

import pytest

from sretool.clients.etcd import prefix_end
from sretool.clients.etcd.rpcs import (
    ALARM,
    ALARM_GET,
    COMPACT,
    DEFRAGMENT,
    DELETE_RANGE,
    MEMBER_LIST,
    MOVE_LEADER,
    PUT,
    RANGE,
    SNAPSHOT,
    STATUS,
    TXN,
    WATCH,
)
from sretool.clients.etcdctl import Etcdctl
from sretool.clients.etcdctl.commands import command_of, is_reading, is_writing
from sretool.errors import RejectedError

CALLED = (
    *Etcdctl(endpoint="https://127.0.0.1:2379", ca="/ca", cert="/c", key="/k").words,
    "--write-out=json",
)
KEYS_ONLY = {"limit": 10, "keys_only": True, "serializable": True, "revision": 7}
READS = [
    (STATUS, {}, "endpoint status"),
    (MEMBER_LIST, {"linearizable": True}, "member list"),
    (MEMBER_LIST, {"linearizable": False}, "member list --consistency=s"),
    (ALARM, {"action": ALARM_GET}, "alarm list"),
    (WATCH, {}, "watch --rev=1 /"),
    (RANGE, {"key": b"a", "limit": 1}, "get --limit=1 -- a"),
    (RANGE, {"key": b"-a", "range_end": b"b", "limit": 0}, "get --limit=0 -- -a b"),
    (
        RANGE,
        {"key": b"a", "range_end": b"b", "count_only": True, "limit": 0},
        "get --limit=1 --keys-only -- a b",
    ),
    (
        RANGE,
        {"key": b"a\0", "range_end": b"b"} | KEYS_ONLY,  # the page that begins right behind `a`
        "get --limit=11 --rev=7 --keys-only --consistency=s -- a b",
    ),
    (
        RANGE,
        {"key": b"\0", "range_end": prefix_end(b"")} | KEYS_ONLY,
        "get --limit=10 --rev=7 --keys-only --consistency=s --from-key -- ",
    ),
]
WRITES = [
    (DEFRAGMENT, {}, "defrag"),
    (COMPACT, {"revision": 7, "physical": True}, "compact --physical 7"),
    (COMPACT, {"revision": 7, "physical": False}, "compact 7"),
    (MOVE_LEADER, {"targetID": 0xFEED}, "move-leader feed"),
]


@pytest.mark.parametrize(("rpc", "fields", "command"), READS)
def test_a_reading_request_is_a_reviewed_reading_command(rpc, fields, command):
    words = command_of(rpc, fields, where="m1")
    assert " ".join(words) == command
    assert is_reading((*CALLED, *words))
    assert not is_writing((*CALLED, *words))


@pytest.mark.parametrize(("rpc", "fields", "command"), WRITES)
def test_a_writing_request_is_a_command_that_only_a_writer_may_run(rpc, fields, command):
    words = command_of(rpc, fields, where="m1")
    assert " ".join(words) == command
    assert is_writing((*CALLED, *words))
    assert not is_reading((*CALLED, *words))


@pytest.mark.parametrize("rpc", [PUT, DELETE_RANGE, TXN, SNAPSHOT])
def test_what_has_no_command_is_refused_before_anything_runs(rpc):
    with pytest.raises(RejectedError, match=f"{rpc} was not sent: etcdctl has no command for it"):
        command_of(rpc, {}, where="m1")


@pytest.mark.parametrize("key", [b"\xff", b"a\0b", b"a\0\0"])
def test_a_key_that_no_argument_can_hold_is_refused(key):
    with pytest.raises(RejectedError, match="cannot stand in a command"):
        command_of(RANGE, {"key": key, "limit": 1}, where="m1")


@pytest.mark.parametrize(
    "command",
    [
        "",
        "put a b",
        "del a",
        "del --prefix ",
        "txn",
        "alarm disarm",
        "alarm list extra",
        "snapshot save /var/lib/etcd/x",
        "member remove 1",
        "watch --rev=1 / -- rm -rf",
        "watch -i",
        "get a",  # without `--` a key could be an option
        "get --limit=1 --lease=1 -- a",
        "get -- a b c",
        "get --",
        "endpoint status --cluster",
        "elect a b",
        "lock a reboot",
        "make-mirror elsewhere",
        "compact --physical all",
        "compact 7 8",
        "defrag --cluster",
        "defrag --data-dir=/var/lib/etcd",
        "move-leader feed --user=a",
        "--user=root endpoint status",
        "--insecure-skip-tls-verify=true endpoint status",
    ],
)
def test_every_other_command_is_neither(command):
    words = (*CALLED, *command.split(" "))
    assert not is_reading(words)
    assert not is_writing(words)


@pytest.mark.parametrize("program", ["sh", "/bin/etcdctl", "etcdutl", ""])
def test_another_program_is_neither(program):
    assert not is_reading((program, "endpoint", "status"))
    assert not is_writing((program, "defrag"))
