"""Bodies of requests against `request_schemas.json`, the table that `schemas_from_sdk.py` makes of the SDK's models.

A model is its fields: `{"maxNodeCount": "integer!", "tags": "{}string"}`. A field's type is `string` (with a pattern:
`string/[a-z]/`), `integer`, `number`, `boolean`, `duration` (ISO 8601), `any`, or the name of an enum or a model; `[]`
before it is a list of them, `{}` an object of them by name, `!` after it means that the field is required. A model with
kinds, as `JobBaseProperties`, has a field that names the kind. Fields that only Azure writes are not in the table.
"""

import functools
import json
import re
from pathlib import Path
from typing import Any

from kaz_azure_emulator.durations import seconds_of
from kaz_azure_emulator.service.errors import invalid_request

_TABLE = Path(__file__).parents[1] / "request_schemas.json"
_SIMPLE = {"string": str, "integer": int, "number": int | float, "boolean": bool, "duration": str}


def checked(model: str, body: Any) -> dict[str, Any]:
    """A request's body, if it is as the model says, with kinds and enums spelled as Azure spells them.

    Fields that the model does not know are kept.

    Raises:
        AzureError: it is not; the error has every field that is wrong.
    """
    check = _Check(_table())
    body = check.value(model, {} if body is None else body, "")
    if check.problems:
        raise invalid_request(*check.problems)
    return body


@functools.cache
def _table() -> dict[str, Any]:
    return json.loads(_TABLE.read_text(encoding="utf-8"))


class _Check:
    """One body's way through the table; `problems` has what is wrong, as pairs of a field and words."""

    def __init__(self, table: dict[str, Any]):
        self._enums, self._kinds, self._models = table["enums"], table["kinds"], table["models"]
        self.problems: list[tuple[str, str]] = []

    def value(self, spec: str, value: Any, where: str) -> Any:
        """A value that is not null, as Azure would keep it."""
        if spec.startswith("[]"):
            return self._list(spec[2:], value, where)
        if spec.startswith("{}"):
            return self._object(spec[2:], value, where)
        if spec in self._models:
            return self._model(spec, value, where)
        if spec in self._enums:
            return self._one_of(self._enums[spec], value, where)
        return self._simple(spec, value, where)

    def _list(self, spec: str, value: Any, where: str) -> Any:
        if not self._is(list, value, where, "a list"):
            return value
        return [self.value(spec, entry, f"{where}[{number}]") for number, entry in enumerate(value)]

    def _object(self, spec: str, value: Any, where: str) -> Any:
        if not self._is(dict, value, where, "an object"):
            return value
        # The SDK passes on tags and variables as its users write them: `{"epochs": 3}`.
        as_they_are = (str, int, float, bool, type(None)) if spec == "string" else ()
        return {
            key: entry if isinstance(entry, as_they_are) else self.value(spec, entry, _join(where, key))
            for key, entry in value.items()
        }

    def _model(self, name: str, value: Any, where: str) -> Any:
        if not self._is(dict, value, where, "an object"):
            return value
        found = dict(value)
        if kinds := self._kinds.get(name):
            field = kinds["by"]
            if self._is_there(field, value, where):
                kind = found[field] = self._one_of(kinds["of"], value[field], _join(where, field))
                name = kinds["of"].get(str(kind)) or name
        for field, spec in self._models[name].items():
            if self._is_there(field, value, where) if spec.endswith("!") else value.get(field) is not None:
                found[field] = self.value(spec.removesuffix("!"), value[field], _join(where, field))
        return found

    def _one_of(self, names: Any, value: Any, where: str) -> Any:
        """A name of a list, however it is spelled: recorded, `minimize` comes back as `Minimize`."""
        if not self._is(str, value, where, "a string"):
            return value
        for name in names:
            if name.lower() == value.lower():
                return name
        self.problems.append((where, f"'{value}' is none of {', '.join(names)}."))
        return value

    def _simple(self, spec: str, value: Any, where: str) -> Any:
        spec, _, pattern = spec.rstrip("/").partition("/")
        if spec == "any" or not self._is(_SIMPLE[spec], value, where, f"of type {spec}"):
            return value
        if pattern and not re.search(pattern, value):
            self.problems.append((where, f"'{value}' does not match the pattern {pattern}."))
        if spec == "duration":
            try:
                seconds_of(value)
            except ValueError as error:
                self.problems.append((where, f"{error}."))
        return value

    def _is_there(self, field: str, found: dict[str, Any], where: str) -> bool:
        """Whether a required field is: a blank text is none, as the SDK's own models had it until 1.34.1."""
        value = found.get(field)
        if value is None or (isinstance(value, str) and not value.strip()):
            self.problems.append((_join(where, field), f"The {field} field is required."))
            return False
        return True

    def _is(self, kind: Any, value: Any, where: str, words: str) -> bool:
        # Python takes true and false for whole numbers; JSON does not.
        if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
            return True
        self.problems.append((where, f"{json.dumps(value)[:100]} is not {words}."))
        return False


def _join(where: str, field: str) -> str:
    return f"{where}.{field}" if where else field
