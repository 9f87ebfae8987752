"""MACs as Python code gives them, turned into what an architecture file holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from simulator.foundation import UserError
from simulator.numerics.mac import Mac
from simulator.numerics.mac_config import MacConfig, preset_names, preset_spec
from simulator.numerics.mac_spec import MacSpec

_FIELDS: Final = tuple(MacConfig.model_fields)

MacChoice = str | Mapping[str, Any] | MacSpec | Mac
"""A preset's name, a spec such as `e4m3 x e4m3`, a mapping as in an architecture file, or a MAC itself."""


def mac_setting(choice: MacChoice) -> str | dict[str, Any]:
    """A MAC as a value of the field `array.mac`: a preset's name where that says all of it, else a mapping.

    A mapping has no name, so a result calls such a MAC by its formats.

    Raises:
        UserError: neither a name, nor a mapping of a MAC's fields, nor a MAC.
    """
    if isinstance(choice, str):
        return choice
    if isinstance(choice, Mapping):
        return _fields(choice)
    spec = choice.spec if isinstance(choice, Mac) else choice
    if not isinstance(spec, MacSpec):
        raise UserError("a MAC is a name, a spec string, a mapping, a MacSpec or a Mac", value=spec)
    if spec.name in preset_names() and preset_spec(spec.name) == spec:
        return spec.name
    document = spec.document()
    del document["name"]
    document["price"] = _price(spec)
    return document


def _fields(mapping: Mapping[str, Any]) -> dict[str, Any]:
    for field in mapping:
        if not isinstance(field, str):
            raise UserError(
                "the fields of a MAC have names", location="mac", value=field, allowed=", ".join(_FIELDS)
            )
    return dict(mapping)


def mac_label(choice: MacChoice) -> str:
    """A MAC in a few words: its name, or its formats."""
    setting = mac_setting(choice)
    if isinstance(setting, str):
        return setting
    return f"{setting.get('activation', '?')} x {setting.get('weight', '?')}"


def _price(spec: MacSpec) -> dict[str, str] | None:
    """Where energy and area come from, where the MAC says so."""
    return {kind: variant for kind, variant in asdict(spec.price).items() if variant is not None} or None
