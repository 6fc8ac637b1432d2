"""What looks at stored events remember: never anything that etcd has otherwise now."""

import threading

import msgspec
import pytest

from sretool.cluster.event_memory import EventMemory
from sretool.errors import UnreachableError
from sretool.knowledge.stored_events import StoredEvent, StoredPage

ROOT = b"/registry/events/"
ALL = (ROOT, b"/registry/events0")
A, B = (ROOT + b"a/", ROOT + b"a0"), (ROOT + b"b/", ROOT + b"b0")


class Keys:
    """A member's keys, each with the revision of its last write; counts how many events were sent."""

    def __init__(self, *names):
        self.written = {}
        self.revision = 10
        self.sent = 0
        self.put(*names)

    def put(self, *names):
        self.revision += 1
        self.written |= dict.fromkeys((ROOT + name.encode() for name in names), self.revision)

    def delete(self, *names):
        self.revision += 1
        for name in names:
            del self.written[ROOT + name.encode()]

    def _within(self, start, end):
        return sorted(key for key in self.written if start <= key < end)

    def stored_events(self, start, end, *, root, limit, revision):
        found = self._within(start, end)
        self.sent += len(found[:limit])
        return StoredPage(
            events=[self._event(key) for key in found[:limit]],
            following=found[limit - 1] + b"\0" if len(found) > limit else b"",
            revision=revision or self.revision,
        )

    def stored_events_as_read(self, start, end, page, *, revision):
        found = self._within(start, end)
        newer = [key for key in found if self.written[key] > page.revision]
        if self.revision < page.revision or newer or len(found) != len(page.events):
            return None
        return msgspec.structs.replace(page, revision=revision or self.revision)

    def _event(self, key):
        texts = dict.fromkeys(("namespace", "uid", "reason", "message", "reporter", "kind", "about"), "")
        name = key.removeprefix(ROOT).decode()
        return StoredEvent(
            key=b"", value=b"", mod_revision=self.written[key], name=name, created=0, last_seen=0, **texts
        )


def read(memory, keys, *ranges):
    """Return the names with their revisions as they are read; they must be those that etcd has."""
    pages = list(memory.pages(keys, ROOT, ranges or (ALL,)))
    assert {page.revision for page in pages} <= {keys.revision}
    return {event.name: event.mod_revision for page in pages for event in page.events}


def held(keys):
    return {key.removeprefix(ROOT).decode(): revision for key, revision in keys.written.items()}


@pytest.fixture
def keys():
    return Keys(*(f"a/{one:02}" for one in range(0, 40, 2)))


@pytest.fixture
def memory():
    return EventMemory(page=5)


def test_what_nobody_changed_is_sent_once(keys, memory):
    assert read(memory, keys) == held(keys)
    keys.revision += 100  # somebody wrote something else
    assert read(memory, keys) == held(keys)
    assert keys.sent == 20


@pytest.mark.parametrize(
    ("sent", "change"),
    [
        (5, lambda keys: keys.put("a/12")),
        (4, lambda keys: keys.delete("a/12")),
        (6, lambda keys: keys.put("a/13")),
        (6, lambda keys: keys.put("a/19")),  # behind the last of its page, before the first of the next
        (7, lambda keys: keys.put("a/00a", "a/000")),
        (6, lambda keys: keys.put("b/00")),
        (5, lambda keys: (keys.delete("a/12"), keys.put("a/13"))),  # as many as before
        (0, lambda keys: keys.delete(*(f"a/{one:02}" for one in range(0, 40, 2)))),
    ],
)
def test_only_pages_with_a_change_are_sent_again(keys, memory, sent, change):
    read(memory, keys)
    change(keys)
    before = keys.sent
    assert read(memory, keys) == held(keys)
    assert keys.sent - before == sent
    before = keys.sent
    assert read(memory, keys) == held(keys)
    assert keys.sent == before


def test_a_member_that_is_behind_is_read_anew(keys, memory):
    read(memory, keys)
    behind = Keys("a/00")
    behind.revision = 9
    assert read(memory, behind) == held(behind)


def test_other_ranges_are_read_for_themselves(keys, memory):
    keys.put("b/00")
    read(memory, keys)
    assert sorted(read(memory, keys, B)) == ["b/00"]
    assert len(read(memory, keys, A, B)) == 21


def test_no_more_is_remembered_than_is_allowed(keys):
    few, half = EventMemory(page=5, most=19), EventMemory(page=5, most=39)
    assert read(few, keys) == read(few, keys) == held(keys)
    assert keys.sent == 40
    read(half, keys)
    read(half, keys, A)  # instead of the other
    before = keys.sent
    read(half, keys, A)
    assert keys.sent == before
    read(half, keys)
    assert keys.sent == before + 20


def test_nothing_is_remembered_of_what_failed(keys, memory):
    class Broken(Keys):
        def stored_events_as_read(self, *_, **__):
            raise UnreachableError("gone")

    read(memory, keys)
    with pytest.raises(UnreachableError):
        read(memory, Broken("a/00"))
    before = keys.sent
    assert read(memory, keys) == held(keys)
    assert keys.sent == before + 20


def test_looks_at_once_read_one_after_the_other_and_the_second_is_sent_nothing(keys, memory):
    first = memory.pages(keys, ROOT, (ALL,))
    next(first)
    found = []
    second = threading.Thread(target=lambda: found.append(read(memory, keys)))
    second.start()
    for _ in first:
        pass
    second.join()
    assert found == [held(keys)]
    assert keys.sent == 20
