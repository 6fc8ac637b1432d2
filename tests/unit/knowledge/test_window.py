"""Maintenance windows: when they are open, and how schedulers write their beginning."""

import datetime

import pytest

from sretool.knowledge.window import Window


def at(text, offset_hours=0):
    zone = datetime.timezone(datetime.timedelta(hours=offset_hours))
    return datetime.datetime.fromisoformat(text).replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("window", "now", "is_open"),
    [
        ("Sun 02:00-04:00 UTC", at("2026-11-22T02:00"), True),
        ("Sun 02:00-04:00 UTC", at("2026-11-22T03:59"), True),
        ("Sun 02:00-04:00 UTC", at("2026-11-22T04:00"), False),
        ("Sun 02:00-04:00 UTC", at("2026-11-22T01:59"), False),
        ("Sun 02:00-04:00 UTC", at("2026-11-23T03:00"), False),
        ("Sun 02:00-04:00 UTC", at("2026-11-22T04:30", 1), True),
        ("Sun 02:00-04:00 Europe/Berlin", at("2026-11-22T01:30"), True),
        ("Sun 02:00-04:00 Europe/Berlin", at("2026-11-22T03:30"), False),
        ("Sun 23:00-01:00 UTC", at("2026-11-23T00:59"), True),
        ("Sun 23:00-01:00 UTC", at("2026-11-22T00:30"), False),
        ("Mon-Fri 01:00-03:00 UTC", at("2026-11-20T01:00"), True),
        ("Mon-Fri 01:00-03:00 UTC", at("2026-11-21T01:00"), False),
        ("Sat-Mon 01:00-03:00 UTC", at("2026-11-23T02:00"), True),
        ("daily 01:00-03:00 UTC", at("2026-11-21T02:00"), True),
    ],
)
def test_when_a_window_is_open(window, now, is_open):
    assert Window.parse(window).is_open(now) is is_open


@pytest.mark.parametrize(
    ("window", "text", "cron", "calendar"),
    [
        ("Sun 02:00-04:00 UTC", "Sun 02:00-04:00 UTC", "0 2 * * 0", "Sun *-*-* 02:00:00 UTC"),
        (
            "mon,WED 23:30-00:30 Europe/Berlin",
            "Mon,Wed 23:30-00:30 Europe/Berlin",
            "30 23 * * 1,3",
            "Mon,Wed *-*-* 23:30:00 Europe/Berlin",
        ),
        ("01:05-03:00 UTC", "daily 01:05-03:00 UTC", "5 1 * * *", "*-*-* 01:05:00 UTC"),
        ("Sat-Sun 01:00-03:00 UTC", "Sat,Sun 01:00-03:00 UTC", "0 1 * * 6,0", "Sat,Sun *-*-* 01:00:00 UTC"),
    ],
)
def test_how_schedulers_write_it(window, text, cron, calendar):
    parsed = Window.parse(window)
    assert (str(parsed), parsed.cron(), parsed.calendar()) == (text, cron, calendar)
    assert Window.parse(str(parsed)) == parsed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no window"),
        ("Sun 02:00-04:00", "is no window"),
        ("Sun 2-4 UTC", "is no window"),
        ("Sun 02:00-02:00 UTC", "ends when it begins"),
        ("Sun 02:00-24:00 UTC", "24:00 is no time of day"),
        ("Sun 02:60-04:00 UTC", "02:60 is no time of day"),
        ("Sunday 02:00-04:00 UTC", "'Sunday' is no day"),
        ("Sun 02:00-04:00 Middle/Earth", "no time zone"),
        ("Sun 02:00-04:00 ../etc/passwd", "is no window"),
    ],
)
def test_what_is_no_window_is_told(text, words):
    with pytest.raises(ValueError, match=words):
        Window.parse(text)
