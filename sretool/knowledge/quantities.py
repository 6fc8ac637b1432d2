"""Quantities as Kubernetes writes them (`500m`, `2`, `1.5Gi`, `1e3`), exact: whole billionths of a unit."""

import re

NANO = 10**9
MILLI = NANO // 1000
_LARGEST = 2**63 - 1  # what a resource.Quantity holds without capping
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_SUFFIX_OF = {power: suffix for suffix, power in _DECIMAL.items()}
_BINARY_OF = {power: suffix for suffix, power in _BINARY.items()}
_QUANTITY = re.compile(
    r"(?P<sign>[+-]?)(?P<whole>[0-9]{0,32})(?:\.(?P<rest>[0-9]{0,32}))?"
    r"(?P<suffix>[numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?"
)


def parse_quantity(text: str) -> int:
    """Return the billionths that `text` names, rounded up as Kubernetes does; ValueError otherwise."""
    nanos, _ = _parse(text)
    return nanos


def canonical_quantity(text: str) -> str:
    """Return `text` as an API server stores and returns it in a list of resources: `1000m` is `1`, `1.5Gi` is
    `1536Mi`, and what is finer than a thousandth is rounded up, `0.1m` to `1m`.

    Server-side apply compares texts: another spelling of the same amount would be a conflict. Sources:
    apimachinery pkg/api/resource, Quantity.CanonicalizeBytes; pkg/apis/core/v1 SetDefaults_ResourceList.
    """
    nanos, suffix = _parse(text)
    nanos = -(-nanos // MILLI) * MILLI
    if suffix in _BINARY:
        return write_binary(nanos)
    mantissa, power = _without_thousands(nanos)
    if suffix[:1] in ("e", "E") and len(suffix) > 1:
        return f"{mantissa}e{power}" if power else str(mantissa)
    return f"{mantissa}{_SUFFIX_OF[power]}"


def write_decimal(nanos: int) -> str:
    """Return an amount of a countable thing: `500m`, `12`, `3k`."""
    mantissa, power = _without_thousands(nanos)
    return f"{mantissa}{_SUFFIX_OF[power]}"


def write_binary(nanos: int) -> str:
    """Return an amount of bytes: `1536Mi`; what is no whole number of KiB in decimal, exact."""
    units, fraction = divmod(nanos, NANO)
    if fraction or abs(units) < 1024:
        return write_decimal(nanos)
    power = 0
    while power < 6 and units % 1024 == 0:
        units, power = units // 1024, power + 1
    return f"{units}{_BINARY_OF.get(power, '')}"


def _parse(text: str) -> tuple[int, str]:
    match = _QUANTITY.fullmatch(text)
    if not match or not (match["whole"] or match["rest"]):
        raise ValueError(f"{text[:40]!r} is not a quantity such as 500m, 2 or 1.5Gi")
    digits, rest, suffix = match["whole"] + (match["rest"] or ""), match["rest"] or "", match["suffix"] or ""
    numerator, denominator = int(digits) * NANO, 10 ** len(rest)
    if suffix in _BINARY:
        numerator *= 1024 ** _BINARY[suffix]
    else:
        power = _DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:])
        numerator *= 10 ** max(power, 0)
        denominator *= 10 ** max(-power, 0)
    nanos = -(-numerator // denominator)
    if nanos > _LARGEST * NANO:
        raise ValueError(f"{text[:40]!r} is more than a quantity can hold")
    return (-nanos if match["sign"] == "-" else nanos), suffix


def _without_thousands(nanos: int) -> tuple[int, int]:
    if nanos == 0:
        return 0, 0
    power = -9
    while power < 18 and nanos % 1000 == 0:
        nanos, power = nanos // 1000, power + 3
    return nanos, power
