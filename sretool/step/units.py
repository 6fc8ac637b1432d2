"""The units that runbooks write: `30s`, `200Mi`, `80%`. Parsed once, when the file is loaded."""

import re

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST, _MOST = 1000 * 86400.0, 2.0**63
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|k|M|G|T)?")
_BYTES = {
    None: 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)%")


class Duration(float):
    """Seconds, written `250ms`, `30s`, `1m30s`, `2h`, `7d`."""

    @classmethod
    def parse(cls, text: str) -> "Duration":
        """Return the duration `text` names; ValueError otherwise."""
        parts = _DURATION.findall(text)
        if not parts or "".join(number + unit for number, unit in parts) != text:
            raise ValueError(f"{text!r} is not a duration such as 30s, 250ms or 1m30s")
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
        if seconds > _LONGEST:
            raise ValueError(f"{text[:20]!r} is longer than 1000 days")
        return cls(seconds)


class Quantity(int):
    """Bytes, written as Kubernetes does: `200Mi`, `8Gi`, `500M`."""

    @classmethod
    def parse(cls, text: str) -> "Quantity":
        """Return the number of bytes `text` names; ValueError otherwise."""
        match = _QUANTITY.fullmatch(text)
        if not match:
            raise ValueError(f"{text!r} is not a quantity such as 200Mi or 8Gi")
        size = float(match[1]) * _BYTES[match[2]]
        if size >= _MOST:
            raise ValueError(f"{text[:20]!r} is more than 8 EiB")
        return cls(size)


class Percent(float):
    """A ratio from 0 to 1, written `80%`."""

    @classmethod
    def parse(cls, text: str) -> "Percent":
        """Return the ratio `text` names; ValueError outside 0 % to 100 %."""
        match = _PERCENT.fullmatch(text)
        if not match or float(match[1]) > 100:
            raise ValueError(f"{text!r} is not a percentage from 0% to 100%")
        return cls(float(match[1]) / 100)
