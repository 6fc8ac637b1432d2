"""Numbers and foreign text as a person reads them."""

import pytest

from sretool.knowledge.words import show_bytes, show_seconds
from sretool.report.format import printable, show_count, show_named_value, show_percent, table, wrapped


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (64 << 20, "64.0 MiB"),
        ((1 << 30) - 1, "1.0 GiB"),
        (3 << 40, "3.0 TiB"),
    ],
)
def test_bytes(size, text):
    assert text == show_bytes(size)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.3504, "350 ms"),
        (0.9996, "1.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (12_000, "3 h 20 min"),
    ],
)
def test_seconds(seconds, text):
    assert text == show_seconds(seconds)


def test_what_is_not_quite_full_does_not_read_as_full():
    assert show_percent(0.9999) == "99 %"
    assert show_percent(1.0) == "100 %"
    assert show_percent(1.012) == "101 %"


def test_counts_have_their_plural():
    assert show_count(1, "change") == "1 change"
    assert show_count(41_207, "change") == "41,207 changes"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("reclaimed_bytes", 66_000_000, "reclaimed 62.9 MiB"),
        ("stall_seconds", 0.57, "stall 570 ms"),
        ("quota_ratio", 0.5, "quota 50 %"),
        ("moved", True, "moved yes"),
        ("members", ["m1", "m2"], "members m1, m2"),
        ("revisions", {"m1": 4}, "revisions m1 4"),
        ("left", (), "left none"),
    ],
)
def test_a_measured_value_is_shown_by_the_unit_in_its_name(name, value, text):
    assert text == show_named_value(name, value)


@pytest.mark.parametrize(
    "text", ["\x1b[2J", "a\rENDED done", "\x07", "\u202eevil", "\x9b31m", "\ud800", "\u2066x", "tab\there"]
)
def test_nothing_from_the_cluster_moves_the_cursor(text):
    shown = printable(text)
    assert shown.isprintable()
    assert shown.encode()


def test_words_of_other_languages_stay():
    assert printable("«Straße» 日本 m3 → m1") == "«Straße» 日本 m3 → m1"


def test_a_path_longer_than_the_line_stays_whole():
    path = "/" + "x" * 120
    assert path in [line.strip() for line in wrapped(f"saved to {path} just now", first="   ", columns=60)]


def test_a_table_that_is_too_narrow_puts_its_last_column_below():
    lines = table(("RUN", "RUNBOOK", "ENDED"), [("2026", "etcd-latency", "done and verified")], columns=26)
    assert all(len(line) <= 40 for line in lines)
    assert lines[-2:] == ["2026  etcd-latency", "    done and verified"]
