"""The reference of the architecture file, made from the models themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, RootModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from simulator.arch.config import ArchConfig, MacChoice

_HEAD = """\
# The architecture file

An architecture is one YAML file; `systolic simulate resnet50 --arch my.yaml` reads it. Every field has a default, so a file
says only what differs. Unknown and doubled keys are errors. Single fields can be overridden on the command line:
`--set array.overlap=full`. The bundled files in `arch_configs/` are examples.

Generated from the models in `simulator/arch/` by `make docs`.
"""


def arch_reference() -> str:
    """The page as Markdown."""
    sections = [_HEAD]
    for path, model in _sections(ArchConfig, ""):
        title = path or "Top level"
        rows = [f"\n## {'`' + title + '`' if path else title}\n\n{model.__doc__}\n"]
        rows.append("| field | type | range | default | meaning |\n|---|---|---|---|---|")
        for name, field in model.model_fields.items():
            written = _written(field.annotation)
            if written is not field.annotation and get_origin(written) is dict:
                rows.append(f"| `{name}` | sections by name | | | {field.description} |")
            elif _submodel(field.annotation) is not None and field.default_factory is not dict:
                rows.append(f"| `{name}` | section | | | {field.description} |")
            else:
                rows.append(
                    f"| `{name}` | {_type(field.annotation)} | {_range(field)} | {_default(field)} "
                    f"| {field.description} |"
                )
        sections.append("\n".join(rows) + "\n")
    return "".join(sections)


def _sections(model: type[BaseModel], path: str) -> Iterator[tuple[str, type[BaseModel]]]:
    yield path, model
    for name, field in model.model_fields.items():
        annotation = _written(field.annotation)
        submodel = _submodel(annotation)
        if submodel is not None:
            origin = get_origin(annotation)
            suffix = ".<name>" if origin is dict else "[]" if origin is tuple else ""
            yield from _sections(submodel, f"{path}.{name}{suffix}".lstrip("."))


def _written(annotation: Any) -> Any:
    """How a field stands in a file: a model that is a mapping by name is that mapping."""
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        return annotation.model_fields["root"].annotation
    return annotation


def _submodel(annotation: Any) -> type[BaseModel] | None:
    candidates = [annotation, *get_args(annotation)]
    models = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
    return models[0] if models else None


def _type(annotation: Any) -> str:
    if annotation == MacChoice:
        return "name, spec or mapping"
    if annotation == MacChoice | None:
        return "name, spec, mapping or null"
    if get_origin(annotation) is Annotated:
        return _type(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return " \\| ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) is tuple:
        inner = _submodel(annotation)
        return "list of sections" if inner else f"list of {_type(get_args(annotation)[0])}"
    if get_origin(annotation) is dict:
        key, value = get_args(annotation)
        return f"mapping of {_type(key)} to {_type(value)}"
    if get_origin(annotation) is list:
        return f"list of {_type(get_args(annotation)[0])}"
    parts = get_args(annotation)
    if type(None) in parts:
        return " or ".join([_type(part) for part in parts if part is not type(None)] + ["null"])
    names = {int: "whole number", float: "number", str: "text", bool: "true or false"}
    return names.get(annotation, "anything")


def _range(field: FieldInfo) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [
        f"{sign} {getattr(limit, name):g}"
        for limit in field.metadata
        for name, sign in signs.items()
        if getattr(limit, name, None) is not None
    ]
    return ", ".join(bounds)


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "empty"
    if field.default is PydanticUndefined:
        return "required"
    return f"`{json.dumps(field.default)}`"
