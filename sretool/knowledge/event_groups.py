"""Events as they were counted: the groups of who writes them, and the batches of what is selected."""

import msgspec

from sretool.knowledge.event_door import Door

EXPORT_VERB, DELETE_VERB, DELETE_STORED_VERB = "export-events", "delete-events", "delete-events-in-etcd"
BATCH_LIMIT = 500  # objects that one batch deletes at most through the API
BATCH = 450  # planned in such a batch: what arrives meanwhile does not push the last ones out of it
STORED_BATCH = 2000  # in etcd: told by its keys, and exported with one fsync a page
WAVES = {DELETE_VERB: 60, DELETE_STORED_VERB: 60}  # batches between two looks, which read all events
AT_LEAST = 100  # ours: fewer of one reason in a namespace are left to expire
OVERDUE_SHARE, OVERDUE_SECONDS = 0.25, 60.0  # ours: the margin beyond an age floor, the larger of the two
FLOOD = 100_000  # ours: a busy cluster of 1,000 nodes has a tenth of it; Kubernetes keeps events for an hour
STILL_WRITTEN = 5  # ours: so many made or told again in the last WATCH_SECONDS: the source has not stopped
WATCH_SECONDS = 5.0


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Events of one reason by one reporter about one kind of object in a namespace; `about` names the most.

    `per_minute` and `just_now` are those made, or told again, in the last minute and WATCH_SECONDS: a source that
    repeats itself writes into the events that it has, and makes them anew where they are deleted.
    """

    namespace: str
    reason: str
    reporter: str
    kind: str
    about: str
    count: int
    per_minute: int
    just_now: int

    @property
    def is_written(self) -> bool:
        return self.just_now >= STILL_WRITTEN


class Doomed(msgspec.Struct, frozen=True, kw_only=True):
    """One event to delete: only as it was read."""

    name: str
    uid: str
    resource_version: str


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Events next to each other by name, `first` to `last`; `each` is empty when these do not name them all."""

    first: str
    last: str
    objects: int
    each: tuple[Doomed, ...] = ()


class Selected(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be deleted of one reason in one namespace, and where it is exported to.

    `beyond` are those that one run may not delete as well. `overdue` of all of them make it due: with an age
    floor those that passed it by a margin, because events grow old while others are deleted.
    """

    namespace: str
    reason: str
    batches: tuple[Batch, ...]
    overdue: int
    export: str
    beyond: int = 0

    @property
    def objects(self) -> int:
        return sum(batch.objects for batch in self.batches)


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """The events, most of a group first, and the door through which they can be deleted.

    `most` may be deleted in one run, which has deleted `spent` of them. `revision` is that of the etcd keys: what
    was written since has a higher one. `made_until` is when the newest event was made, as the API writes it.
    `before` is the age floor in seconds since 1970, 0 without one.
    """

    total: int
    groups: tuple[Group, ...]
    selected: tuple[Selected, ...]
    is_named: bool
    has_age: bool
    door: Door
    most: int
    spent: int = 0
    revision: int = 0
    made_until: str = ""
    before: int = 0

    @property
    def spare(self) -> int:
        """How many more than those selected may go in this run: new ones."""
        return max(0, self.most - self.spent - sum(one.objects for one in self.selected))


def overdue_seconds(older_than: float) -> float:
    """Return the age at which an event makes a deletion due that is asked for from `older_than` on; 0: any."""
    return older_than + max(OVERDUE_SHARE * older_than, OVERDUE_SECONDS) if older_than else 0.0


def selector_of(reason: str) -> str:
    """Return the field selector of one reason."""
    return f"reason={reason}"
