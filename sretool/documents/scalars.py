"""Plain scalars as YAML 1.2 reads them; those that YAML 1.1 reads differently are refused."""

import math
import re

_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_INTEGER = r"[-+]?[0-9]+"
_FLOAT = r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)"
_DIGITS = 18

# Plain scalars that YAML 1.1 (most tools) and 1.2 read differently: whichever we chose would surprise somebody.
_BOOLEANS_IN_1_1 = frozenset({"y", "n", "yes", "no", "on", "off"})
_BEGINNINGS = frozenset("-+.0123456789=<")  # of everything below: most words need no expression compiled
_SURPRISES = (
    (
        r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?",
        "YAML 1.1 reads it as a number in base 60: write a duration such as 1m30s, or quote it",
    ),
    (
        r"[-+]?0[0-9_]+",
        "YAML 1.1 reads it as an octal number: write it without the leading zero, or quote it",
    ),
    (r"[-+]?0[xob][0-9a-fA-F_]+", "YAML 1.1 and 1.2 disagree on it: write a decimal number, or quote it"),
    (
        r"[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?",
        "YAML 1.1 reads it as a number: write it without underscores, or quote it",
    ),
    (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+",
        "YAML 1.1 and 1.2 disagree on exponents: write the number out, or quote it",
    ),
    (r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "it is no number to work with: quote it if it is text"),
    (
        r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?",
        "YAML 1.1 reads it as a date: quote it",
    ),
    (r"=|<<", "it has a special meaning in YAML 1.1 (value, merge key): write the keys out"),
)


def refusal(text: str) -> str:
    """Return why a plain scalar is refused and what to write instead; empty when it is not."""
    if text.lower() in _BOOLEANS_IN_1_1:
        return "YAML 1.1 reads it as a boolean: write true or false, or quote the word"
    if text[:1] not in _BEGINNINGS:
        return ""
    for pattern, advice in _SURPRISES:
        if re.fullmatch(pattern, text):
            return advice
    number = re.fullmatch(_INTEGER, text) or re.fullmatch(_FLOAT, text)
    if number and (len(text) > _DIGITS or not math.isfinite(float(text))):
        return "too many digits for a number: quote it if it is text"
    return ""


def resolve(text: str) -> str | int | float | bool | None:
    """Return the value of a plain scalar that is not refused."""
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text in _NULLS:
        return None
    if text[:1] not in _BEGINNINGS:
        return text
    if re.fullmatch(_INTEGER, text):
        return int(text)
    return float(text) if re.fullmatch(_FLOAT, text) else text
