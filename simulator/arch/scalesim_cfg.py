"""SCALE-Sim's `.cfg` files as overrides of an architecture, so that its users can bring the files they have.

Array size, dataflow, buffer sizes and (with `InterfaceBandwidth: USER`) bandwidth are taken over, and timing
is set to `scalesim`. What the file leaves out stays as the architecture has it. Offsets, request buffers,
banks and layouts are SCALE-Sim's own and have no counterpart here; sparsity is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from configparser import ConfigParser, Error
from pathlib import Path
from typing import Any

from simulator.foundation import UserError
from simulator.foundation.documents import read_text

DATAFLOWS = ("os", "ws", "is")
BANDWIDTH_MODES = ("CALC", "USER")


def _size(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


_FIELDS: Mapping[str, tuple[str, Callable[[str], int | str]]] = {
    "ArrayHeight": ("array.rows", _size),
    "ArrayWidth": ("array.columns", _size),
    "IfmapSramSzkB": ("sram.ifmap.capacity_kib", _size),
    "FilterSramSzkB": ("sram.filter.capacity_kib", _size),
    "OfmapSramSzkB": ("sram.ofmap.capacity_kib", _size),
    "IfmapSramSz": ("sram.ifmap.capacity_kib", _size),
    "FilterSramSz": ("sram.filter.capacity_kib", _size),
    "OfmapSramSz": ("sram.ofmap.capacity_kib", _size),
    "run_name": ("name", str),
}
"""Keys that become a field as they are; the three without `kB` are those of SCALE-Sim's first version."""

_CHECKED = ("Bandwidth", "Dataflow", "InterfaceBandwidth", "SparsitySupport")

_WITHOUT_COUNTERPART = (
    "IfmapOffset",
    "FilterOffset",
    "OfmapOffset",
    "MemoryBanks",
    "ReadRequestBuffer",
    "WriteRequestBuffer",
    "IfmapCustomLayout",
    "IfmapSRAMBankBandwidth",
    "IfmapSRAMBankNum",
    "IfmapSRAMBankPort",
    "FilterCustomLayout",
    "FilterSRAMBankBandwidth",
    "FilterSRAMBankNum",
    "FilterSRAMBankPort",
    "SparseRep",
    "OptimizedMapping",
    "BlockSize",
    "RandomNumberGeneratorSeed",
    "UseRamulatorTrace",
)

KNOWN_KEYS = (*_FIELDS, *_CHECKED, *_WITHOUT_COUNTERPART)


def scalesim_overrides(path: str | Path, *, clock_mhz: float = 500) -> dict[str, Any]:
    """Overrides for `load_arch` from a SCALE-Sim configuration file.

    Keys are read without regard to case, as SCALE-Sim reads them. Bandwidth is in words per cycle there; one
    word counts as one byte, at `clock_mhz`.

    Args:
        path: the `.cfg` file.
        clock_mhz: clock of the architecture that the overrides are for.

    Returns:
        Values by dotted field, `array.timing: scalesim` among them.

    Raises:
        UserError: unreadable, no such format, an unknown key or dataflow (the nearest one is suggested), a
            size that is no positive whole number, or sparsity.
    """
    settings = _settings(Path(path))
    overrides: dict[str, Any] = {"array.timing": "scalesim"}
    for key, (section, text) in settings.items():
        if key in _FIELDS:
            field, convert = _FIELDS[key]
            overrides[field] = _converted(convert, text, path, section, key)
    if "Dataflow" in settings:
        overrides["array.dataflow"] = _choice(settings, "Dataflow", DATAFLOWS, path)
    mode = _choice(settings, "InterfaceBandwidth", BANDWIDTH_MODES, path, default="CALC")
    if mode == "USER" and "Bandwidth" in settings:
        section, text = settings["Bandwidth"]
        words = int(_converted(_size, text.split(",")[0], path, section, "Bandwidth"))
        overrides["dram.bandwidth_gbyte_per_s"] = words * clock_mhz / 1000
    if _choice(settings, "SparsitySupport", ("false", "true"), path, default="false") == "true":
        raise UserError(
            "sparsity is not modelled",
            source=path,
            location=f"{settings['SparsitySupport'][0]}.SparsitySupport",
            value="true",
            allowed="false",
        )
    return overrides


def _settings(path: Path) -> dict[str, tuple[str, str]]:
    """Section and text by key, in SCALE-Sim's own spelling."""
    parser = ConfigParser(interpolation=None, inline_comment_prefixes=("#", ";"))
    try:
        parser.read_string(read_text(path), source=str(path))
    except Error as error:
        problem = str(error).splitlines()[0]
        raise UserError(f"is not a SCALE-Sim configuration: {problem}", source=path) from error
    spelled = {key.lower(): key for key in KNOWN_KEYS}
    settings: dict[str, tuple[str, str]] = {}
    for section in parser.sections():
        for key, text in parser.items(section):
            if key not in spelled:
                raise UserError(
                    "SCALE-Sim knows no such key",
                    source=path,
                    location=section,
                    value=key,
                    candidates=KNOWN_KEYS,
                )
            settings[spelled[key]] = (section, text.strip())
    if not settings:
        raise UserError("holds no settings", source=path)
    return settings


def _converted(
    convert: Callable[[str], int | str], text: str, path: str | Path, section: str, key: str
) -> int | str:
    try:
        return convert(text)
    except ValueError as error:
        raise UserError(
            "must be a whole number above zero", source=path, location=f"{section}.{key}", value=text
        ) from error


def _choice(
    settings: Mapping[str, tuple[str, str]],
    key: str,
    choices: tuple[str, ...],
    path: str | Path,
    *,
    default: str = "",
) -> str:
    section, text = settings.get(key, ("", default))
    by_lower = {choice.lower(): choice for choice in choices}
    if text.lower() not in by_lower:
        raise UserError(
            "is unknown", source=path, location=f"{section}.{key}", value=text, candidates=choices
        )
    return by_lower[text.lower()]
