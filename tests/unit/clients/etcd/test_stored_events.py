"""Events as etcd holds them, decoded from what the lab's encoder and hand-written bytes give."""

from types import SimpleNamespace

import pytest

from sretool.clients.etcd.stored_events import StoredEvents
from sretool.errors import RejectedError
from sretool.lab.event_encoding import EventKind, event_encoder

ROOT = b"/registry/events/"
MADE = 1_700_000_000


def stored(*, modern=False, extra=b""):
    kind = EventKind(namespace="a", reason="BackOff", message="why", component="kubelet", modern=modern)
    value = event_encoder(kind)("e1", "u1", "p1", MADE)
    return with_fields(value, extra) if extra else value


def with_fields(value, extra):
    """Append fields to the event, whose length is the two bytes before it."""
    start = value.index(b"\x12", value.index(b"Event"))  # field 2 of the envelope
    length = value[start + 1] & 0x7F | value[start + 2] << 7
    longer = length + len(extra)
    return value[: start + 1] + bytes([longer & 0x7F | 0x80, longer >> 7]) + value[start + 3 :] + extra


def varint(number):
    return bytes([number & 0x7F | 0x80]) + varint(number >> 7) if number > 0x7F else bytes([number])


def time_field(number, seconds):
    time = b"\x08" + varint(seconds)
    return bytes([number << 3 | 2, len(time)]) + time


def page_of(*values, **given):
    kvs = [
        SimpleNamespace(key=ROOT + f"a/e{number}".encode(), value=value, mod_revision=7)
        for number, value in enumerate(values)
    ]
    return asked(SimpleNamespace(kvs=kvs, more=False, count=len(kvs)), **given)[0]


def asked(answer, *, revision=90, **given):
    """Return a page, and what was asked of etcd for it."""
    answer.header = SimpleNamespace(revision=revision)
    connection = SimpleNamespace(endpoint="m1", fields=None)

    def unary(_rpc, fields, *, timeout_seconds, writes):
        assert timeout_seconds == 1.0
        assert not writes
        connection.fields = fields
        return answer

    connection.unary = unary
    events = StoredEvents(connection)
    page = events.page(ROOT, ROOT + b"z", root=ROOT, limit=10, timeout_seconds=1.0, **given)
    return page, connection.fields


@pytest.mark.parametrize("modern", [False, True])
def test_an_event_is_decoded(modern):
    (event,) = page_of(stored(modern=modern)).events
    assert (event.namespace, event.name, event.uid, event.reason) == ("a", "e0", "u1", "BackOff")
    assert (event.reporter, event.kind, event.about, event.message) == ("kubelet", "Pod", "p1", "why")
    assert (event.created, event.last_seen, event.mod_revision) == (MADE, MADE, 7)
    assert (event.key, event.value) == (ROOT + b"a/e0", stored(modern=modern))


@pytest.mark.parametrize(
    ("last_seen", "extra"),
    [
        (MADE + 5, time_field(7, MADE + 5)),
        (MADE + 9, b"\x5a\x08" + time_field(2, MADE + 9)),  # series, and in it when it was last observed
        (MADE, b"\x5a\x02\x08\x03"),  # a series without a time
        (MADE, b"\x3a\x00"),  # an empty time, as Kubernetes stores none
    ],
)
def test_last_seen_is_the_latest_time_that_an_event_tells(last_seen, extra):
    (event,) = page_of(stored(modern=True, extra=extra)).events
    assert (event.created, event.last_seen) == (MADE, last_seen)


def test_a_look_leaves_out_what_it_does_not_need():
    whole, part = page_of(stored()).events[0], page_of(stored(), whole=False).events[0]
    assert (part.key, part.value, part.message) == (b"", b"", "")
    assert (part.name, part.reason, part.last_seen) == (whole.name, whole.reason, whole.last_seen)


def test_what_many_events_name_alike_is_in_memory_once():
    one, two = page_of(stored(), stored()).events
    assert one.about is two.about
    assert one.reporter is two.reporter


@pytest.mark.parametrize(
    ("why", "value"),
    [
        ("encrypted", b"k8s:enc:aescbc:v1:key1:x"),
        ("no protobuf", b'{"kind":"Event"}'),
        ("no protobuf", stored()[:-3]),
        ("a time in it is no protobuf", stored(extra=b"\x3a\x02\x08\xff")),
        ("a v1 Pod", b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod"),
    ],
)
def test_what_is_no_event_in_the_default_form_is_refused_with_its_key(why, value):
    with pytest.raises(RejectedError, match=why) as raised:
        page_of(value)
    assert "/registry/events/a/e0" in str(raised.value)


@pytest.mark.parametrize(
    ("seen", "count", "newer", "revision"),
    [(90, 3, 0, 90), (None, 2, 0, 90), (None, 4, 0, 90), (None, 3, 1, 90), (None, 3, 0, 49), (50, 3, 0, 50)],
)
def test_a_range_is_as_read_when_etcd_counts_as_many_and_none_is_newer(seen, count, newer, revision):
    answer = SimpleNamespace(count=count, kvs=[object()] * newer, header=SimpleNamespace(revision=revision))
    connection = SimpleNamespace(
        endpoint="m1", unary=lambda _rpc, fields, **_: asked_for.update(fields) or answer
    )
    asked_for = {}
    events = StoredEvents(connection)
    assert events.as_read(b"a", b"b", count=3, since=50, timeout_seconds=1.0) == seen
    assert asked_for["min_mod_revision"] == 51
