"""Finding and reading an architecture: a bundled name or a YAML file, with single fields overridden."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulator.arch.config import ArchConfig
from simulator.arch.widths import default_word_bits
from simulator.foundation.documents import load_yaml, validate
from simulator.foundation.given_values import override_values, path_text
from simulator.foundation.resources import data_folder, relative_to, resolve_document


def load_arch(arch: str | Path | ArchConfig, overrides: Mapping[str, Any] | None = None) -> ArchConfig:
    """The architecture of a bundled name or YAML file, or another one with overrides laid over it.

    Paths of price tables are relative to the file that names them; in overrides, to the working folder.
    A buffer without `word_bits` gets words as wide as the array's edge takes in one cycle.

    Args:
        arch: `int8_32x32`, or a path such as `my/arch.yaml`, or a configuration made before.
        overrides: values by dotted field (`{"array.rows": 16}`), laid over the document before it is checked.

    Raises:
        UserError: unknown name, unreadable file, unknown or doubled key, or a value outside its range,
            or overrides that are no mapping of fields, are nested deeper than 64 levels or have over a
            million values.
    """
    if isinstance(arch, ArchConfig):
        document, source = arch.model_dump(exclude_unset=True), arch.name
    else:
        name = path_text(arch, what="an architecture")
        path = resolve_document(name, "arch_configs", what="architecture")
        document, source = load_yaml(path), _shown(path, name)
        if isinstance(document, dict):
            document.setdefault("name", path.stem)
            document |= _tables_beside(document, path)
    given = override_values(overrides)
    if isinstance(document, dict):
        for field, value in given.items():
            _lay_over(document, field.split("."), value)
    config = validate(ArchConfig, document, source=source)
    if absent := _memories_without_width(config, document):
        widths = default_word_bits(config)
        for memory in absent:
            _lay_over(document, ["sram", memory, "word_bits"], widths[memory])
        config = validate(ArchConfig, document, source=source)
    return config


def _tables_beside(document: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The tables that a file names, paths taken relative to the file; nothing where it names none."""
    tables = document.get("tables")
    if not isinstance(tables, list):
        return {}
    return {"tables": [relative_to(path, table) if isinstance(table, str) else table for table in tables]}


def _memories_without_width(config: ArchConfig, document: dict[str, Any]) -> list[str]:
    sections = document.get("sram") or {}
    names = [memory.name for memory in config.sram.memories]
    return [name for name in names if "word_bits" not in (sections.get(name) or {})]


def _lay_over(document: dict[str, Any], field: list[str], value: object) -> None:
    for part in field[:-1]:
        section = document.setdefault(part, {})
        if not isinstance(section, dict):
            return  # the check of the whole document says what is wrong with it
        document = section
    document[field[-1]] = value


def _shown(path: Path, name: str) -> str:
    """A file the user named is shown as given, a bundled one by its name in the folder."""
    bundled = path.parent == data_folder("arch_configs")
    return f"arch_configs/{path.name}" if bundled else name
