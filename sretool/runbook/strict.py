"""Reads a document's mappings into what a struct declares, with a problem for everything that does not fit."""

import enum
import re
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from sretool.documents import Document, NodePath, Problems, suggest
from sretool.step import Duration, Percent, Quantity

UNITS: Mapping[type, str] = {Duration: "s", Quantity: "Mi", Percent: "%"}
PARSERS: Mapping[type, Callable[[str], object]] = {one: one.parse for one in (Duration, Quantity, Percent)}

_INNER_PATH = re.compile(r" - at `(?:key in )?\$(.*)`$")
_INNER_STEP = re.compile(r"\[(\d+)\]|\.(\w+)|\[\.\.\.\]")
_TYPE_WORDS = {
    "str": "text",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}


class ShapeError(ValueError):
    """A value does not fit its type; `path` leads from the value to the place that does not."""

    def __init__(self, message: str, path: NodePath = ()) -> None:
        super().__init__(message)
        self.path = path


def convert(value: object, annotation: Any) -> Any:
    """Return `value` as the declared type; ShapeError with a sentence for a person otherwise."""
    try:
        return msgspec.convert(value, annotation, dec_hook=_parse_unit)
    except msgspec.ValidationError as error:
        raise _shape_error(str(error), value, annotation) from error


def find_misfits(value: object, annotation: Any) -> Iterator[ShapeError]:
    """Yield everything that does not fit, of each entry of a list or mapping: the library tells of the first."""
    is_fitting = True
    for word, entry, wanted in _entries(value, annotation):
        for error in find_misfits(entry, wanted):
            is_fitting = False
            yield ShapeError(str(error), (word, *error.path))
    if is_fitting:
        try:
            convert(value, annotation)
        except ShapeError as error:
            yield error


def encoded_fields(shape: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    """Return a struct's fields by the names that stand in documents."""
    return {field.encode_name: field for field in msgspec.structs.fields(shape)}


def base_types(annotation: Any) -> tuple[Any, ...]:
    """Return the arms of a type without Annotated, None and UNSET."""
    if get_origin(annotation) is Annotated:
        return base_types(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(base for arm in get_args(annotation) for base in base_types(arm))
    return () if annotation in (types.NoneType, msgspec.UnsetType) else (annotation,)


def choices(annotation: Any) -> tuple[str, ...]:
    """Return the words that a Literal or an enum of strings allows; empty for every other type."""
    words: list[str] = []
    for base in base_types(annotation):
        if get_origin(base) is Literal:
            words += [str(word) for word in get_args(base)]
        elif isinstance(base, type) and issubclass(base, enum.StrEnum):
            words += [str(word) for word in base]
    return tuple(words)


def read_fields(
    document: Document, path: NodePath, value: object, shape: type[msgspec.Struct], problems: Problems
) -> dict[str, Any]:
    """Return the fields that fit, by attribute name; every problem of the others is added to `problems`.

    Fields that hold structs, or dicts and tuples of them, are the caller's to read: only their outer kind
    (mapping or list) is checked here. Of other lists and mappings the entries that fit are returned, to be
    checked further: in a list None stands for each of the others.
    """
    if not isinstance(value, dict):
        problems.add(document.position(path), f"{name_of(path)} must be a mapping, not {shown(value)}")
        return {}
    fields = encoded_fields(shape)
    found: dict[str, Any] = {}
    for key, inner in value.items():
        inner_path = (*path, key)
        if key not in fields:
            problems.add(document.key_position(inner_path), f"unknown key {key}{suggest(key, fields)}")
            continue
        field = fields[key]
        misfits = _misfits(inner, field.type)
        for error in misfits:
            at = (*inner_path, *error.path)
            problems.add(document.position(at), f"{name_of(at)}: {error}")
        if not misfits:
            found[field.name] = inner if _holds_structs(field.type) else convert(inner, field.type)
        elif all(error.path for error in misfits):
            found[field.name] = _what_fits(inner, misfits)
    for name, field in fields.items():
        if field.required and name not in value:
            problems.add(document.position(path), f"{name_of(path)} has no {name}: it is required")
    return found


def read_struct(
    document: Document, path: NodePath, value: object, shape: type[msgspec.Struct], problems: Problems
) -> Any | None:
    """Return the struct at `path`, or None when it has problems."""
    fields = read_fields(document, path, value, shape, problems)
    required = {field.name for field in msgspec.structs.fields(shape) if field.required}
    return shape(**fields) if required <= set(fields) else None


def name_of(path: NodePath) -> str:
    """Return a path as a person writes it: `steps[2].with.window`."""
    words = "".join(f"[{word}]" if isinstance(word, int) else f".{word}" for word in path).lstrip(".")
    return words or "the document"


def shown(value: object) -> str:
    """Return a value as it might stand in the file, short."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _misfits(value: object, annotation: Any) -> Sequence[ShapeError]:
    """Return what does not fit; of containers of structs only their outer kind is looked at."""
    if not _holds_structs(annotation):
        return tuple(find_misfits(value, annotation))
    if any(get_origin(base) is tuple for base in base_types(annotation)):
        if not isinstance(value, list) or not value:
            return (ShapeError(f"must be a list with at least one entry, not {shown(value or None)}"),)
    elif not isinstance(value, dict):
        return (ShapeError(f"must be a mapping, not {shown(value)}"),)
    return ()


def _holds_structs(annotation: Any) -> bool:
    kinds = (kind for base in base_types(annotation) for kind in (base, *get_args(base)))
    return any(isinstance(kind, type) and issubclass(kind, msgspec.Struct) for kind in kinds)


def _entries(value: object, annotation: Any) -> Iterator[tuple[str | int, object, Any]]:
    """Yield the entries of a list or mapping, each with its place and the type that it must have."""
    for base in base_types(annotation):
        origin, inner = get_origin(base), get_args(base)
        if origin is dict and isinstance(value, dict):
            yield from ((key, entry, inner[1]) for key, entry in value.items())
        elif origin is tuple and inner[1:] == (...,) and isinstance(value, list):
            yield from ((index, entry, inner[0]) for index, entry in enumerate(value))


def _what_fits(value: Any, misfits: Sequence[ShapeError]) -> Any:
    places = {error.path[0] for error in misfits}
    if isinstance(value, dict):
        return {key: entry for key, entry in value.items() if key not in places}
    return tuple(None if index in places else entry for index, entry in enumerate(value))


def _parse_unit(wanted: type, value: object) -> object:
    if isinstance(value, wanted):
        return value
    if wanted not in UNITS:
        raise ValueError(f"must be of type {wanted.__name__}")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    text = str(value)
    if number or re.fullmatch(r"[0-9.]+", text):
        if wanted is Quantity and not number:
            return Quantity.parse(text)
        raise ValueError(f"{text} has no unit: write {text}{UNITS[wanted]}")
    if not isinstance(value, str):
        raise ValueError(f"must be text such as 10{UNITS[wanted]}, not {shown(value)}")  # noqa: TRY004 - msgspec's protocol
    return PARSERS[wanted](value)


def _shape_error(message: str, value: object, annotation: Any) -> ShapeError:
    inner = _INNER_PATH.search(message)
    path: list[str | int] = []
    for index, name in _INNER_STEP.findall(inner[1] if inner else ""):
        path.append(int(index) if index else name)
    for word in path:
        value = _inner(value, word)
    text = message[: inner.start()] if inner else message
    words = choices(annotation)
    if words and not path:
        near = suggest(shown(value), words) if isinstance(value, str) else ""
        return ShapeError(
            f"must be one of {', '.join(words)}, not {shown(value)}{near if '?' in near else ''}"
        )
    if text.startswith("Expected `str`, got") and not isinstance(value, dict | list) and value is not None:
        return ShapeError(f'must be text: quote it, "{shown(value)}"', tuple(path))
    text = re.sub(r"^Expected `str` matching regex '(.*)'$", r"does not match \1", text)
    text = re.sub(r"`([^`]+)`", lambda code: _type_words(code[1]), text)
    if mismatch := re.fullmatch(r"Expected (.*), got .*", text):
        text = f"must be {mismatch[1]}, not {shown(value)}"
    return ShapeError(re.sub(r"^Expected ", "must be ", text), tuple(path))


def _type_words(code: str) -> str:
    return " or ".join(_TYPE_WORDS.get(one, one) for one in code.split(" | "))


def _inner(value: object, word: str | int) -> object:
    if isinstance(value, dict):
        return value.get(word)
    return value[word] if isinstance(value, list) and isinstance(word, int) else value
