"""Who owns which fields of a Kubernetes object: server-side apply's managedFields, read."""

from collections.abc import Mapping
from typing import Any

JsonObject = Mapping[str, Any]


def applied_fields(live: JsonObject, field_manager: str) -> dict[str, Any]:
    """Return of `live` what `field_manager` owns by server-side apply: the configuration that it last applied.

    Empty when it owns nothing. Applying the result again changes nothing; lists are returned whole (those
    of quotas and limit ranges are atomic).
    """
    for entry in live.get("metadata", {}).get("managedFields", ()):
        is_apply = entry.get("operation") == "Apply" and not entry.get("subresource")
        if is_apply and entry.get("manager") == field_manager:
            owned: dict[str, Any] = _pick(live, entry.get("fieldsV1", {}))
            return owned
    return {}


def other_spec_owners(live: JsonObject, field_manager: str) -> tuple[str, ...]:
    """Return the managers besides `field_manager` that own a field of `live`'s spec."""
    return tuple(
        sorted(
            {
                str(entry.get("manager") or "somebody")
                for entry in live.get("metadata", {}).get("managedFields", ())
                if entry.get("manager") != field_manager
                and not entry.get("subresource")
                and "f:spec" in entry.get("fieldsV1", {})
            }
        )
    )


def _pick(value: Any, fields: JsonObject) -> Any:
    """Return the part of `value` that a FieldsV1 set names: `f:` keys go deeper, `.` is the map itself."""
    if not isinstance(value, dict) or not fields:
        return value
    return {
        name: _pick(value[name], inner)
        for key, inner in fields.items()
        if key.startswith("f:") and (name := key[2:]) in value
    }
