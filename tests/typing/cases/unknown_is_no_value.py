"""A fact that could not be read cannot be used as if it had been, and no value changes under its holder."""

from sretool.cluster import ClusterReader
from sretool.model import Change, Known, Risk, Unknown, known_only


def revision_of_a_silent_member(read: ClusterReader) -> int:
    return read.etcd.status()["m1"].revision  # error: union-attr


def revision_when_it_answers(read: ClusterReader) -> int:
    status = read.etcd.status()["m1"]
    return 0 if isinstance(status, Unknown) else status.revision


def revisions_of_those_that_answer(read: ClusterReader) -> list[int]:
    return [status.revision for status in known_only(read.etcd.status()).values()]


def sum_of_what_may_be_unknown(here: Known[int], there: Known[int]) -> int:
    return here + there  # error: operator


def less_risky(change: Change) -> None:
    change.risk = Risk.READ  # error: misc
