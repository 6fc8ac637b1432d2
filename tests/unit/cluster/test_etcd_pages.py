"""Which pages of an earlier look a look begins with, and which are asked for again."""

import pytest

from sretool.cluster.etcd_pages import EtcdPages
from sretool.model import MetricsPage

PAGE = MetricsPage({})


@pytest.fixture
def earlier() -> EtcdPages:
    pages = EtcdPages()
    pages.put("m1", PAGE, asked=10.0)
    pages.put("m2", PAGE, asked=10.4)
    return pages


def test_pages_are_told_by_when_they_were_asked_for(earlier: EtcdPages) -> None:
    assert earlier.asked_after(10.2, ["m1", "m2", "m3"]) == {"m2": PAGE}
    assert earlier.first_asked({"m1": PAGE, "m2": PAGE}) == 10.0
    assert earlier.first_asked({"m3": PAGE}) == float("inf")


def test_a_newer_page_takes_the_place_of_an_older_one(earlier: EtcdPages) -> None:
    earlier.put("m1", PAGE, asked=11.0)
    assert earlier.first_asked({"m1": PAGE}) == 11.0


def test_a_look_begins_with_what_was_read_a_moment_ago_and_nothing_older(earlier: EtcdPages) -> None:
    now = EtcdPages()
    now.take_over(earlier, now=10.42)
    assert now.asked_after(0.0, ["m1", "m2"]) == {"m2": PAGE}
    now.take_over(earlier, now=10.5)
    assert now.asked_after(0.0, ["m1", "m2"]) == {}
