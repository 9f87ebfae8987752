"""Documents of plain data: checked against models so that every mistake can be pointed at, and written."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, RootModel, ValidationError

from simulator.foundation.errors import UserError
from simulator.foundation.reading.content import read_text
from simulator.foundation.reading.yaml_documents import load_yaml, parse_yaml

__all__ = [
    "JsonText",
    "dump_yaml",
    "load_yaml",
    "parse_yaml",
    "pretty_json",
    "read_text",
    "validate",
]

Model = TypeVar("Model", bound=BaseModel)


def dump_yaml(value: Any) -> str:
    """A YAML text of dict, list, str, numbers, bool and None, in the order given."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)


class JsonText(str):
    """Text that is JSON already, which `pretty_json` puts in as it stands."""

    __slots__ = ()


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False).encode
_HELD = frozenset({dict, list, JsonText})


def pretty_json(value: Any, indent: int = 0) -> str:
    """JSON text with a line for everything that holds only scalars, so that long results stay readable."""
    inner: Collection[Any]
    if isinstance(value, dict):
        inner = value.values()
    elif isinstance(value, list):
        inner = value
    else:
        return value if isinstance(value, JsonText) else _encode(value)
    if _HELD.isdisjoint(map(type, inner)) or not any(part and type(part) in _HELD for part in inner):
        return _encode(value)
    pad, end = "\n" + " " * (indent + 1), "\n" + " " * indent
    if isinstance(value, dict):
        parts = [f"{_encode(key)}: {pretty_json(part, indent + 1)}" for key, part in value.items()]
        return f"{{{pad}{(',' + pad).join(parts)}{end}}}"
    return f"[{pad}{(',' + pad).join(pretty_json(part, indent + 1) for part in value)}{end}]"


def validate(model: type[Model], document: Any, *, source: object) -> Model:
    """A document checked against a pydantic model, its first mistake told as a person would.

    Raises:
        UserError: file, dotted field, the value and what is allowed; unknown keys suggest the nearest one.
    """
    if not isinstance(document, dict):
        raise UserError("must be a mapping of fields", source=source, value=document)
    try:
        checked = model.model_validate(document)
        truths = list(_truths_for_numbers(document, checked))
    except ValidationError as error:
        raise _explain(model, document, error, source) from error
    except (ArithmeticError, RecursionError) as error:
        raise UserError("holds a number or nesting beyond what can be checked", source=source) from error
    for place, truth in truths:
        location = ".".join(str(part) for part in place)
        raise UserError("must be a number, not true or false", source=source, location=location, value=truth)
    return checked


def _truths_for_numbers(document: Any, checked: Any) -> Iterator[tuple[tuple[int | str, ...], bool]]:
    """Every true or false of a document of which the validation library has made 1 or 0, and its place."""
    if isinstance(document, bool):
        if isinstance(checked, int | float) and not isinstance(checked, bool):
            yield (), document
        return
    for part, value in _parts(document):
        for place, truth in _truths_for_numbers(value, _part(checked, part)):
            yield (part, *place), truth


def _parts(document: Any) -> Iterable[tuple[int | str, Any]]:
    if isinstance(document, dict):
        return document.items()
    return enumerate(document) if isinstance(document, list | tuple) else ()


def _part(checked: Any, part: int | str) -> Any:
    """What was made of a key or an entry; None where the library has made something else of the whole."""
    if isinstance(checked, RootModel):
        checked = checked.root
    if isinstance(checked, dict):
        return checked.get(part)
    if isinstance(checked, list | tuple):
        return checked[part] if isinstance(part, int) and part < len(checked) else None
    return getattr(checked, part, None) if isinstance(checked, BaseModel) and isinstance(part, str) else None


_PLAIN = {
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping of fields",
    "model_type": "must be a mapping of fields",
    "string_too_short": "must not be empty",
}
"""What the validation library says in its own terms, said in those of a YAML file."""


def _place(document: Any, location: tuple[int | str, ...], *, is_missing: bool) -> tuple[int | str, ...]:
    """The part of a location that is in the document; the library also names the branches of a union."""
    kept: list[int | str] = []
    current = document
    for position, part in enumerate(location):
        is_there = (isinstance(current, dict) and part in current) or (
            isinstance(current, list | tuple) and isinstance(part, int) and part < len(current)
        )
        if is_there:
            current = current[part]
        if is_there or (is_missing and position == len(location) - 1):
            kept.append(part)
    return tuple(kept)


def _explain(model: type[BaseModel], document: Any, error: ValidationError, source: object) -> UserError:
    # A misspelt key is also a missing one; the misspelling is the more useful thing to tell.
    first = min(error.errors(include_url=False), key=lambda found: found["type"] != "extra_forbidden")
    place = _place(document, first["loc"], is_missing=first["type"] == "missing")
    location = ".".join(str(part) for part in place)
    if first["type"] == "extra_forbidden":
        return UserError(
            "unknown key",
            source=source,
            location=location,
            value=str(first["loc"][-1]),
            candidates=_field_names(model, place[:-1]),
        )
    if first["type"] == "missing":
        return UserError("is required but missing", source=source, location=location)
    if first["type"] == "value_error" and isinstance(first["ctx"]["error"], UserError):
        nested = first["ctx"]["error"]
        return UserError(str(nested), source=source, location=location or None)
    message = _PLAIN.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    if first["type"] == "too_short":
        least = first["ctx"]["min_length"]
        message = f"needs at least {least} {'entry' if least == 1 else 'entries'}"
    message = message[0].lower() + message[1:]
    if first["type"] == "value_error":
        return UserError(message, source=source, location=location or None)
    return UserError(message, source=source, location=location or None, value=first["input"])


def _field_names(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Field names of the (sub)model that a dotted location leads to, as far as it can be followed."""
    current: Any = model
    for part in location:
        if isinstance(part, int):
            continue
        if get_origin(current) is dict:
            current = _model_in(get_args(current)[1])
            continue
        if not (isinstance(current, type) and issubclass(current, BaseModel)):
            return []
        field = current.model_fields.get(str(part))
        if field is None:
            return []
        current = _model_in(field.annotation)
    if isinstance(current, type) and issubclass(current, BaseModel):
        return [field.alias or name for name, field in current.model_fields.items()]
    return []


def _model_in(annotation: Any) -> Any:
    """The model that an annotation such as `Model | None` names, or the mapping that it is, else itself."""
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        return annotation.model_fields["root"].annotation
    if get_origin(annotation) is dict:
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if isinstance(argument, type) and issubclass(argument, BaseModel):
            return argument
    return annotation
