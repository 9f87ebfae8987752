"""What a shell may offer for a word: bundled names, MACs, policies and fields of an architecture.

`systolic --install-completion` makes the shell ask. Files are the shell's own to complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Words = Callable[[str], list[str]]


def networks(incomplete: str) -> list[str]:
    """Bundled networks, trained ones included."""
    from simulator.foundation.resources import bundled_names

    return _beginning(incomplete, bundled_names("workloads", ".yaml", ".onnx"))


def trained_networks(incomplete: str) -> list[str]:
    """Bundled networks with weights."""
    from simulator.foundation.resources import bundled_names

    return _beginning(incomplete, bundled_names("workloads", ".onnx"))


def architectures(incomplete: str) -> list[str]:
    """Bundled architectures."""
    from simulator.foundation.resources import bundled_names

    return _beginning(incomplete, bundled_names("arch_configs"))


def macs(incomplete: str) -> list[str]:
    """Preset MACs; pairs of formats have no end."""
    from simulator.numerics import preset_names

    return _beginning(incomplete, preset_names())


def policies(incomplete: str) -> list[str]:
    """Conversion policies, also behind `MAC=`."""
    from simulator.inference.policies import POLICIES

    mac, equals, begun = incomplete.rpartition("=")
    return [f"{mac}{equals}{name}" for name in _beginning(begun, POLICIES)]


def fields(incomplete: str) -> list[str]:
    """Dotted fields of an architecture with the `=` that their value follows."""
    return _beginning(incomplete, (f"{field}=" for field in arch_fields()))


def arch_fields() -> list[str]:
    """Every field of an architecture that `--set` takes, those of the three usual memories among them."""
    from simulator.arch.config import ArchConfig
    from simulator.arch.memories import SramConfig
    from simulator.operands import OPERANDS

    found = set(_fields_of(ArchConfig.model_json_schema())) - {"sram"}
    memory = list(_fields_of(SramConfig.model_json_schema()))
    return sorted(found | {f"sram.{operand}.{field}" for operand in OPERANDS for field in memory})


def _fields_of(schema: dict[str, Any]) -> Iterable[str]:
    definitions = schema.get("$defs", {})
    for name, value in schema.get("properties", {}).items():
        yield from _paths(name, value, definitions)


def _paths(path: str, value: dict[str, Any], definitions: dict[str, Any]) -> Iterable[str]:
    """A field's own path, or those of the fields inside it."""
    for part in (value, *value.get("anyOf", ()), *value.get("allOf", ())):
        name = str(part.get("$ref", "")).rpartition("/")[2]
        inner = definitions.get(name, {}).get("properties", {})
        if inner:
            for each, its in inner.items():
                yield from _paths(f"{path}.{each}", its, definitions)
            return
    yield path


def _beginning(begun: str, words: Iterable[str]) -> list[str]:
    return [word for word in words if word.startswith(begun)]
