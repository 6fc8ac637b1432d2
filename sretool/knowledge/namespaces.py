"""Which namespaces a person means: names, globs and label selectors; system namespaces never by accident."""

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import msgspec

SYSTEM_NAMESPACES = frozenset({"kube-system", "kube-public", "kube-node-lease"})
BY_NAME_ONLY = "default"  # selected only when it is named

Labels: TypeAlias = Mapping[str, str]
Requirement: TypeAlias = Callable[[Labels], bool]

_PATTERN = re.compile(r"[a-z0-9*?]([a-z0-9*?-]{0,61}[a-z0-9*?])?")
_LABEL_VALUE = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?"
_LABEL_KEY = r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_EQUAL = re.compile(rf"(?P<key>{_LABEL_KEY})\s*(?P<operator>==|=|!=)\s*(?P<value>{_LABEL_VALUE})")
_SET = re.compile(rf"(?P<key>{_LABEL_KEY})\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)")
_EXISTS = re.compile(rf"(?P<absent>!?)\s*(?P<key>{_LABEL_KEY})")
_COMMA = re.compile(r",(?![^()]*\))")  # not the commas of `in (a, b)`


class Namespace(msgspec.Struct, frozen=True, kw_only=True):
    """One namespace as it was listed."""

    name: str
    labels: Labels = {}
    terminating: bool = False


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which namespaces a person means. `everywhere`: all of them may be meant."""

    patterns: tuple[str, ...] = ()
    labels: tuple[Requirement, ...] = ()
    everywhere: bool = False

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing says which namespaces are meant."""
        return not (self.patterns or self.labels or self.everywhere)


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What a selection found: the namespaces, and why it may not be used (empty when it may)."""

    names: tuple[str, ...] = ()
    refusal: str = ""


def parse_patterns(text: str) -> tuple[str, ...]:
    """Return the names and globs of `team-*,shop`; ValueError for what no namespace can be called."""
    patterns = tuple(word for part in text.split(",") if (word := part.strip()))
    for pattern in patterns:
        if not _PATTERN.fullmatch(pattern):
            raise ValueError(f"{pattern[:70]!r} is no name of a namespace, nor a glob of * and ?")
    return patterns


def parse_label_selector(text: str) -> tuple[Requirement, ...]:
    """Return what a label selector demands, in kubectl's own words; ValueError when it is none.

    `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a`, `!a`, separated by commas.
    """
    return tuple(_requirement(part.strip()) for part in _COMMA.split(text)) if text.strip() else ()


def parse_selection(namespaces: str, *, labels: str, everywhere: bool) -> Selection:
    """Return what is meant; ValueError for malformed words, and for `*` without `everywhere`."""
    patterns = parse_patterns(namespaces)
    requirements = parse_label_selector(labels)
    if any(not pattern.strip("*") for pattern in patterns) and not requirements and not everywhere:
        raise ValueError("* matches every namespace: say everywhere if that is meant")
    return Selection(patterns=patterns, labels=requirements, everywhere=everywhere)


def choose_namespaces(namespaces: Sequence[Namespace], selection: Selection) -> Choice:
    """Return the namespaces that match a pattern (when there are any) and every label requirement.

    System namespaces are never chosen, `default` only by its name, terminating ones not at all. Refused are:
    a name that does not exist, a choice of nothing, and one of everything that does not say `everywhere`.
    """
    patterns = selection.patterns
    missing = sorted(
        pattern
        for pattern in patterns
        if not _is_glob(pattern) and pattern not in {n.name for n in namespaces}
    )
    if missing:
        return Choice(refusal=f"there is no namespace {', '.join(missing)}")
    system = sorted(SYSTEM_NAMESPACES & set(patterns))
    if system:
        return Choice(refusal=f"{', '.join(system)} is a system namespace, which never gets a quota")
    open_to = [one for one in namespaces if _is_open(one, patterns)]
    chosen = [
        one
        for one in open_to
        if (not patterns or any(fnmatch.fnmatchcase(one.name, pattern) for pattern in patterns))
        and all(holds(one.labels) for holds in selection.labels)
    ]
    by_name = bool(patterns) and not any(_is_glob(pattern) for pattern in patterns)
    if not chosen:
        return Choice(refusal=f"the selection matches none of {len(open_to)} namespaces")
    if len(chosen) == len(open_to) and not by_name and not selection.everywhere:
        return Choice(refusal=f"the selection matches every one of {len(open_to)} namespaces")
    return Choice(names=tuple(sorted(one.name for one in chosen)))


def is_system(namespace: Namespace) -> bool:
    """Tell whether it is Kubernetes' own, or on its way out: never to be changed."""
    return namespace.terminating or namespace.name in SYSTEM_NAMESPACES


def _is_open(namespace: Namespace, patterns: Sequence[str]) -> bool:
    return not is_system(namespace) and (namespace.name != BY_NAME_ONLY or BY_NAME_ONLY in patterns)


def _is_glob(pattern: str) -> bool:
    return "*" in pattern or "?" in pattern


def _requirement(text: str) -> Requirement:
    if match := _EQUAL.fullmatch(text):
        key, value, wanted = match["key"], match["value"], match["operator"] != "!="
        return lambda labels: (labels.get(key) == value) is wanted
    if match := _SET.fullmatch(text):
        key, wanted = match["key"], match["operator"] == "in"
        values = {value.strip() for value in match["values"].split(",")}
        if all(re.fullmatch(_LABEL_VALUE, value) for value in values) and values != {""}:
            return lambda labels: (labels.get(key) in values) is wanted
    elif match := _EXISTS.fullmatch(text):
        key, wanted = match["key"], not match["absent"]
        return lambda labels: (key in labels) is wanted
    raise ValueError(f"{text[:70]!r} is no label selector such as tier=batch, tier in (a,b) or !exempt")
