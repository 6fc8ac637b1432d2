"""Maintenance windows: `Sun 02:00-04:00 UTC`, when unattended changes may be made."""

import datetime
import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY_MINUTES = 24 * 60
_FORM = re.compile(r"(?:(\S+)\s+)?(\d\d):(\d\d)-(\d\d):(\d\d)\s+([A-Za-z][A-Za-z0-9_+/-]*)")
_EXAMPLES = "«Sun 02:00-04:00 UTC», «Mon-Fri 01:00-03:00 Europe/Berlin» or «daily 23:00-01:00 UTC»"


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """The days on which it begins (0 is Monday), its first minute of the day, its length, its time zone."""

    days: tuple[int, ...]
    begins_minute: int
    minutes: int
    zone: str

    @classmethod
    def parse(cls, text: str) -> "Window":
        """Return the window; ValueError says what is wrong. One that ends before it begins ends the next day."""
        found = _FORM.fullmatch(text.strip())
        if not found:
            raise ValueError(f"{text!r} is no window: write it as {_EXAMPLES}")
        days, *clock, zone = found.groups()
        begins, ends = (_minute(hour, minute) for hour, minute in (clock[:2], clock[2:]))
        if begins == ends:
            raise ValueError(f"{text!r} ends when it begins")
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"{zone!r} is no time zone that this machine knows") from error
        return cls(
            days=_days(days or "daily"),
            begins_minute=begins,
            minutes=(ends - begins) % _DAY_MINUTES,
            zone=zone,
        )

    def __str__(self) -> str:
        ends = (self.begins_minute + self.minutes) % _DAY_MINUTES
        return f"{self.day_names} {_clock(self.begins_minute)}-{_clock(ends)} {self.zone}"

    @property
    def day_names(self) -> str:
        """The days as they are typed: `daily`, or a list."""
        return "daily" if len(self.days) == len(DAYS) else ",".join(DAYS[day] for day in self.days)

    @property
    def seconds(self) -> int:
        return self.minutes * 60

    def is_open(self, now: datetime.datetime) -> bool:
        """Tell whether `now` (aware) lies in it; a window that began yesterday may still be open."""
        local = now.astimezone(ZoneInfo(self.zone))
        since_midnight = local.hour * 60 + local.minute
        for days_ago in (0, 1):
            past = since_midnight + days_ago * _DAY_MINUTES - self.begins_minute
            if (local.weekday() - days_ago) % len(DAYS) in self.days and 0 <= past < self.minutes:
                return True
        return False

    def cron(self) -> str:
        """Return its beginning as cron writes it; the zone stands elsewhere."""
        days = "*" if len(self.days) == len(DAYS) else ",".join(str((day + 1) % 7) for day in self.days)
        return f"{self.begins_minute % 60} {self.begins_minute // 60} * * {days}"

    def calendar(self) -> str:
        """Return its beginning as systemd's OnCalendar= writes it."""
        days = "" if len(self.days) == len(DAYS) else f"{self.day_names} "
        return f"{days}*-*-* {_clock(self.begins_minute)}:00 {self.zone}"


def _minute(hour: str, minute: str) -> int:
    if int(hour) > 23 or int(minute) > 59:
        raise ValueError(f"{hour}:{minute} is no time of day")
    return int(hour) * 60 + int(minute)


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _days(text: str) -> tuple[int, ...]:
    if text == "daily":
        return tuple(range(len(DAYS)))
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        begin, end = _day(first), _day(last or first)
        found |= {(begin + step) % len(DAYS) for step in range((end - begin) % len(DAYS) + 1)}
    return tuple(sorted(found))


def _day(text: str) -> int:
    if text.title() not in DAYS:
        raise ValueError(f"{text!r} is no day: {', '.join(DAYS)}, or daily")
    return DAYS.index(text.title())
