"""Exchange with Accelergy: energy and area reference tables (ERT, ART) in its YAML, in pJ and um2.

Accelergy's tables hold names and figures only. What a row knows beyond them - conditions, status, source - is
written as comments, and has to be given again on the way back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import yaml

from simulator.cost.price_tables import parse_table
from simulator.cost.table_schema import MOST_WORD_BITS, PriceRow, PriceTable
from simulator.cost.vocabulary import COMPONENTS
from simulator.foundation import UserError
from simulator.foundation.documents import parse_yaml
from simulator.result_sources import silicon_text

VERSION: Final = "0.4"
_PREFIX: Final = "system."
_AREA: Final = "area"
_BITS_PER_BYTE: Final = 8
_MOST_DIGITS: Final = 7
"""Digits of a word's width that are read as a number."""
_PJ_FIELDS: Final = {"pJ": "energy_pj", "pJ/byte": "energy_pj_per_byte", "pJ/bit": "energy_pj_per_bit"}
_UNITS_OF: Final = {"sram": "pJ/byte", "dram": "pJ/bit"}
"""What memories are priced by; everything else is priced by the action."""


def export_ert(table: PriceTable) -> str:
    """The table's energies as an Accelergy ERT, in picojoules per action.

    A component is `system.<component>.<variant>`, a memory's size and word width stand behind it. A memory's
    action is a whole word, a DRAM's transfer one bit. Rows of leakage, wires, access times and fitted
    memories are left out and counted in a comment.
    """
    rows = [row for row in table.rows.values() if row.unit in _PJ_FIELDS and not _is_term(row)]
    left_out = sum(row.unit not in _PJ_FIELDS and row.unit != "um2" for row in table.rows.values())
    terms = sum(_is_term(row) for row in table.rows.values())
    lines = _head(table, "energy reference table, pJ per action")
    if left_out:
        lines.append(f"# {left_out} rows of leakage, wires or times have no place in an ERT and are left out")
    if terms:
        lines.append(f"# {terms} rows are terms of a fitted memory, which holds for no single size: left out")
    lines += ["ERT:", f"  version: {VERSION}", "  tables:" if rows else "  tables: []"]
    for name in dict.fromkeys(_name(row) for row in rows):
        lines += [f"  - name: {name}", "    actions:"]
        for row in rows:
            if _name(row) == name:
                lines += [f"      # {line}" for line in _provenance(row)]
                energy_pj = row.value * _units_per_action(row.unit, row.word_bits)
                lines += [f"    - name: {row.action}", "      arguments: {}", f"      energy: {energy_pj!r}"]
    return "\n".join(lines) + "\n"


def export_art(table: PriceTable) -> str:
    """The table's areas as an Accelergy ART; a memory's size is in its name."""
    rows = [row for row in table.rows.values() if row.unit == "um2" and not _is_term(row)]
    lines = [
        *_head(table, "area reference table, um2"),
        "ART:",
        f"  version: {VERSION}",
        "  tables:" if rows else "  tables: []",
    ]
    for row in rows:
        lines += [f"    # {line}" for line in _provenance(row)]
        lines += [f"  - name: {_name(row)}", f"    area: {row.value!r}"]
    return "\n".join(lines) + "\n"


def import_reference_tables(
    texts: Sequence[str], *, name: str, provenance: dict[str, Any], source: str = "Accelergy"
) -> str:
    """A price table, as YAML of this project, from the texts of an ERT, an ART or both.

    Args:
        texts: the YAML texts.
        name: what the table is to be called.
        provenance: `source`, `status` and `conditions` (a mapping as in a table's `conditions`): Accelergy's
            files do not hold them, and no price enters without.
        source: names the texts in errors.

    Raises:
        UserError: missing provenance, text that is no ERT or ART, a name without one of this project's
            components, or whatever the table loader refuses.
    """
    for required in ("source", "status", "conditions"):
        if not provenance.get(required):
            raise UserError("an imported table needs its provenance", source=source, location=required)
    rows: list[dict[str, Any]] = []
    for text in texts:
        document = parse_yaml(text, source=source)
        rows += _imported(document, source)
    if not rows:
        raise UserError("holds neither an ERT nor an ART with tables", source=source)
    for row in rows:
        row |= {"conditions": "imported", "source": "imported", "status": provenance["status"]}
    table = {
        "table": name,
        "description": f"imported from {source}",
        "sources": {"imported": provenance["source"]},
        "conditions": {"imported": provenance["conditions"]},
        "rows": rows,
    }
    written = yaml.safe_dump(table, sort_keys=False, width=110)
    parse_table(written, source=source)
    return written


def _head(table: PriceTable, what: str) -> list[str]:
    return [
        f"# {table.name}: {table.description}",
        f"# Accelergy {what}",
        f"# sha256 of the table: {table.sha256}",
    ]


def _units_per_action(unit: str, word_bits: int | None) -> float:
    """Bytes of one memory access; 1 for energies of an action or of a bit."""
    return word_bits / _BITS_PER_BYTE if unit == "pJ/byte" and word_bits else 1.0


def _is_term(row: PriceRow) -> bool:
    return row.capacity_exponent is not None


def _name(row: PriceRow) -> str:
    sizes = [f"{row.capacity_kib:g}KiB"] if row.capacity_kib is not None else []
    sizes += [f"{row.word_bits}bit"] if row.word_bits is not None else []
    return ".".join([f"{_PREFIX}{row.component}", row.variant, *sizes])


def _provenance(row: PriceRow) -> Iterator[str]:
    yield f"{row.key}, {row.status}: {row.source}"
    yield f"{silicon_text(row.conditions)}; {row.conditions.activity}".removeprefix("; ")
    if row.formula:
        yield row.formula


def _imported(document: object, source: str) -> list[dict[str, Any]]:
    rows = [
        {**_identity(entry, source), "action": "area", "area_um2": entry.get("area")}
        for entry in _entries(document, "ART", source)
    ]
    for entry in _entries(document, "ERT", source):
        identity = _identity(entry, source)
        unit = _UNITS_OF.get(identity["component"], "pJ")
        units = _units_per_action(unit, identity.get("word_bits"))
        for action in _actions(entry, source):
            energy = action.get("energy")
            value = energy / units if isinstance(energy, int | float) else energy
            rows.append({**identity, "action": action.get("name"), _PJ_FIELDS[unit]: value})
    return rows


def _actions(entry: dict[str, Any], source: str) -> list[dict[str, Any]]:
    """The actions of a component; none where it has no such list."""
    actions = entry.get("actions")
    if actions is None:
        return []
    if not isinstance(actions, list) or not all(isinstance(action, dict) for action in actions):
        raise UserError(
            "must be a list of actions, each with name and energy",
            source=source,
            location=f"ERT.tables.{entry.get('name')}.actions",
            value=actions,
        )
    return actions


def _entries(document: object, root: str, source: str) -> list[dict[str, Any]]:
    """The tables under `ERT` or `ART`; none where the document has no such root."""
    section = document.get(root) if isinstance(document, dict) else None
    if section is None:
        return []
    entries = section.get("tables") if isinstance(section, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UserError(
            "must be a list of components", source=source, location=f"{root}.tables", value=entries
        )
    return entries


def _identity(entry: dict[str, Any], source: str) -> dict[str, Any]:
    """Component, variant and size from a dotted name; instance ranges such as `[1..64]` are left out."""
    name = str(entry.get("name", ""))
    parts = re.sub(r"\[\d+\.\.\d+\]", "", name).split(".")
    place = next((index for index, part in enumerate(parts) if part in COMPONENTS), None)
    if place is None:
        raise UserError("names no known component", source=source, value=name, candidates=tuple(COMPONENTS))
    identity: dict[str, Any] = {"component": parts[place]}
    variant = []
    for part in parts[place + 1 :]:
        if size := re.fullmatch(r"(\d+)KiB", part):
            identity["capacity_kib"] = float(size[1])
        elif width := re.fullmatch(r"(\d+)bit", part):
            if len(width[1]) > _MOST_DIGITS:
                raise UserError(
                    "names a word that is too wide",
                    source=source,
                    value=name,
                    allowed=f"at most {MOST_WORD_BITS:,} bits",
                )
            identity["word_bits"] = int(width[1])
        else:
            variant.append(part)
    identity["variant"] = ".".join(variant) or "imported"
    return identity
