"""The JSON Schema (draft-07) of runbooks, for editors: made from the same structs as the loader's checks."""

from collections.abc import Mapping
from typing import Any, get_args, get_origin

import msgspec

from sretool.runbook.model import ParamType
from sretool.runbook.params import fits
from sretool.runbook.playbook_shapes import PlaybookShape
from sretool.runbook.shapes import RunbookShape, StepShape
from sretool.runbook.strict import base_types, choices, encoded_fields
from sretool.step import AnyStep, Catalogue, Duration, Percent, Quantity

Schema = dict[str, Any]

_UNIT_PATTERNS: Mapping[type, str] = {
    Duration: r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$",
    Quantity: r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$",
    Percent: r"^[0-9]+(\.[0-9]+)?%$",
}
_TEMPLATE: Schema = {"type": "string", "pattern": r"^\{\{ *params\.[a-z][a-z0-9_]* *\}\}$"}
_SCALES: Mapping[type, tuple[tuple[float, str], ...]] = {
    Duration: ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"), (0.001, "ms")),
    Quantity: ((2**40, "Ti"), (2**30, "Gi"), (2**20, "Mi"), (2**10, "Ki"), (1, "")),
    Percent: ((0.01, "%"),),
}


def runbook_schema(catalogue: Catalogue) -> Schema:
    """Return the schema of a runbook that uses the steps of `catalogue`."""
    schema = _struct(RunbookShape)
    step = _struct(StepShape)
    steps = {"oneOf": [_step(step, catalogue[uses]) for uses in sorted(catalogue)]}
    schema["properties"]["steps"]["items"] = steps
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "sretool runbook",
        **schema,
        "definitions": {"step": step},
    }


def playbook_schema() -> Schema:
    """Return the schema of a playbook."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "sretool playbook",
        **_struct(PlaybookShape),
    }


def written(value: object) -> object:
    """Return a default as a person writes it in a runbook: `10s`, `200Mi`, `45%`."""
    for unit, scales in _SCALES.items():
        if isinstance(value, unit) and isinstance(value, int | float):
            for size, name in scales:
                count = round(value / size, 6)
                if count == int(count) and (count or size in (1, 0.01)):  # nothing is 0s, 0 or 0%
                    return f"{int(count)}{name}"
            return f"{value / scales[-1][0]:g}{scales[-1][1]}"
    return list(value) if isinstance(value, tuple) else msgspec.to_builtins(value)


def _step(common: Schema, step: type[AnyStep]) -> Schema:
    properties = {name: {"$ref": f"#/definitions/step/properties/{name}"} for name in common["properties"]}
    with_ = _struct(step.params_type)
    for name, field in encoded_fields(step.params_type).items():
        if any(fits(one, field.type) for one in ParamType):
            with_["properties"][name] = _or_template(with_["properties"][name])
    properties["uses"] = {"const": step.uses}
    properties["with"] = with_
    required = common["required"] + (["with"] if "required" in with_ else [])
    return {
        "title": step.uses,
        "description": _first_line(step),
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": required,
    }


def _or_template(field: Schema) -> Schema:
    if field.get("type") == "string" and "pattern" not in field:
        return field
    about: Schema = {key: field.pop(key) for key in ("description", "default") if key in field}
    return {**about, "anyOf": [field, _TEMPLATE]}


def _struct(shape: type[msgspec.Struct]) -> Schema:
    fields = encoded_fields(shape)
    schema: Schema = {
        "description": _first_line(shape),
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _field(field) for name, field in fields.items()},
    }
    required = [name for name, field in fields.items() if field.required]
    return schema | ({"required": required} if required else {})


def _field(field: msgspec.structs.FieldInfo) -> Schema:
    schema = _type(field.type)
    if field.default not in (msgspec.NODEFAULT, msgspec.UNSET, None):
        schema["default"] = written(field.default)
    return schema


def _type(annotation: Any) -> Schema:
    """Return the schema of one field's type, with the description that its annotation carries."""
    bases = base_types(annotation)
    about: Schema = {"description": text} if (text := description_of(annotation)) else {}
    if words := choices(annotation):
        return about | {"enum": list(words)}
    for base in bases:
        if base in _UNIT_PATTERNS:
            return about | {"type": "string", "pattern": _UNIT_PATTERNS[base]}
        if _is_struct(base):
            return _struct(base) | about
        if get_origin(base) is tuple and _is_struct(get_args(base)[0]):
            return about | {"type": "array", "minItems": 1, "items": _struct(get_args(base)[0])}
        if get_origin(base) is dict:
            return about | _mapping(*get_args(base))
    return _plain(annotation)


def _mapping(key: Any, value: Any) -> Schema:
    schema: Schema = {"type": "object"}
    if value is not object:
        schema |= {"propertyNames": _plain(key), "additionalProperties": _type(value)}
    return schema


def _plain(annotation: Any) -> Schema:
    """Return msgspec's own schema: for scalars and lists of them draft-07 has the same words."""
    return msgspec.json.schema(annotation, schema_hook=lambda _: {})


def description_of(annotation: Any) -> str:
    """Return what an annotation says of its field, empty when it says nothing."""
    metas = getattr(annotation, "__metadata__", ())
    own = next(
        (meta.description for meta in metas if isinstance(meta, msgspec.Meta) and meta.description), ""
    )
    return own or next((text for arm in get_args(annotation) if (text := description_of(arm))), "")


def _is_struct(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, msgspec.Struct)


def _first_line(documented: type) -> str:
    # Not inspect.getdoc: that inherits the words of msgspec's base class.
    return (documented.__doc__ or "").strip().partition("\n")[0]
