"""The configuration reference, from the settings' models: one table for each section of the stack file."""

from collections.abc import Mapping
from typing import Any

from stack.commands.schema import document_schema

Schema = Mapping[str, Any]
_TOP = "StackSettings"
_PLACES_SHOWN = 3


def _target(schema: Schema) -> str | None:
    """Name of the model that a schema refers to, through a default or an optional."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    options = [s for s in schema.get("anyOf", schema.get("allOf", ())) if s.get("type") != "null"]
    return _target(options[0]) if len(options) == 1 else None


class Reference:
    """Walks the schema's definitions in the order in which a reader of the stack file meets them."""

    def __init__(self) -> None:
        self._definitions: dict[str, Any] = document_schema()["$defs"]
        self._places: dict[str, list[str]] = {}
        self._visit(_TOP, "matrix:stack")

    def _is_section(self, name: str | None) -> bool:
        return name is not None and "properties" in self._definitions[name]

    def _visit(self, name: str, path: str) -> None:
        self._places.setdefault(name, []).append(path)
        for key, field in self._definitions[name]["properties"].items():
            here = key if name == _TOP else f"{path}.{key}"
            for target, where in self._inside(field, here):
                self._visit(target, where)

    def _inside(self, field: Schema, path: str) -> list[tuple[str, str]]:
        """Sections below a field, with their key paths: itself, items of a list, values of a mapping."""
        if (name := _target(field)) is not None:
            return [(name, path)] if self._is_section(name) else []
        found = [s for option in field.get("anyOf", ()) for s in self._inside(option, path)]
        if isinstance(field.get("items"), dict):
            found += self._inside(field["items"], f"{path}[]")
        if isinstance(field.get("additionalProperties"), dict):
            found += self._inside(field["additionalProperties"], f"{path}.<name>")
        return found

    def _type(self, field: Schema) -> str:
        if (name := _target(field)) is not None:
            if self._is_section(name):
                return f"[section](#{name.lower()})"
            return self._type(self._definitions[name])
        if "enum" in field:
            return "one of " + ", ".join(f"`{value}`" for value in field["enum"])
        if "const" in field:
            return f"`{field['const']}`"
        if "anyOf" in field:
            return " or ".join(self._type(option) for option in field["anyOf"] if option.get("type") != "null")
        match field.get("type"):
            case "array":
                return f"list of {self._type(field.get('items', {}))}"
            case "object" if "secure" in field.get("properties", {}):
                return "secret"
            case "object":
                inner = field.get("additionalProperties")
                return f"mapping to {self._type(inner)}" if isinstance(inner, dict) else "mapping"
            case "integer" | "number":
                return f"{field['type']}{_range(field)}"
            case "string":
                return "text"
            case "boolean":
                return "true or false"
        return "anything"

    def _row(self, key: str, field: Schema, required: bool) -> str:
        if required:
            default = "**required**"
        elif self._is_section(_target(field)) and field.get("default") is not None:
            default = f"`{_short(field['default'])}`"
        elif "default" in field and field["default"] is not None:
            default = f"`{_short(field['default'])}`" if field["default"] not in ("", [], {}) else "none"
        else:
            default = ""
        cells = (f"`{key}`", self._type(field), default, str(field.get("description", "")))
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    def _section(self, name: str) -> str:
        model, places = self._definitions[name], self._places[name]
        required = model.get("required", ())
        rows = [self._row(key, field, key in required) for key, field in model["properties"].items()]
        shown = ", ".join(f"`{place}`" for place in places[:_PLACES_SHOWN])
        if len(places) > _PLACES_SHOWN:
            shown += f" and {len(places) - _PLACES_SHOWN} more"
        words = str(model.get("description", "")).replace("\n", " ")
        head = [f"### {name}", "", f"{shown}: {words}", "", "| key | type | default | meaning |", "|---|---|---|---|"]
        return "\n".join([*head, *rows])

    def text(self) -> str:
        """All sections."""
        return "\n\n".join(self._section(name) for name in self._places)


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k}: {_short(v)}" for k, v in value.items() if v is not None) + " }"
    return str(value)


def _range(field: Schema) -> str:
    low, high = field.get("minimum"), field.get("maximum")
    above = field.get("exclusiveMinimum")
    if low is not None and high is not None:
        return f", {low:,}–{high:,}"
    if low is not None:
        return f" ≥ {low:,}"
    if above is not None:
        return f" > {above:,}"
    return f" ≤ {high:,}" if high is not None else ""


def settings_reference() -> str:
    """Markdown for docs/configuration.md."""
    return Reference().text()
