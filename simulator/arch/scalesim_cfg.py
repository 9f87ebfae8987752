"""SCALE-Sim's `.cfg` files as overrides of an architecture, so that its users can bring the files they have.

Array size, dataflow, buffer sizes and (with `InterfaceBandwidth: USER`) bandwidth are taken over, and timing
is set to `scalesim`. What the file leaves out stays as the architecture has it. Everything else is named in a
warning and changes nothing. Which keys SCALE-Sim reads was taken from `scale_config.py` of its releases 2.0.2
and 3.0.0 (PyPI) and `scale.py` of its first version (ARM-software/SCALE-Sim).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from configparser import ConfigParser, Error
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from simulator.dataflow import SCALESIM_DATAFLOWS
from simulator.foundation import UserError
from simulator.foundation.documents import read_text
from simulator.foundation.given_values import path_text
from simulator.foundation.reading.content import require_plain

BANDWIDTH_MODES: Final = ("CALC", "USER")
BANDWIDTH_FIELD: Final = "dram.bandwidth_gbyte_per_s"

_SIZES: Final[Mapping[str, str]] = {
    "ArrayHeight": "array.rows",
    "ArrayWidth": "array.columns",
    "IfmapSramSzkB": "sram.ifmap.capacity_kib",
    "FilterSramSzkB": "sram.filter.capacity_kib",
    "OfmapSramSzkB": "sram.ofmap.capacity_kib",
    "IfmapSramSz": "sram.ifmap.capacity_kib",
    "FilterSramSz": "sram.filter.capacity_kib",
    "OfmapSramSz": "sram.ofmap.capacity_kib",
}
"""Keys whose number becomes a field; the three without `kB` are those of SCALE-Sim's first version."""

_USED: Final = (*_SIZES, "run_name", "Bandwidth", "Dataflow", "InterfaceBandwidth", "SparsitySupport")

_SWITCHES: Final[Mapping[str, str]] = {
    "UseRamulatorTrace": "DRAM latencies from a Ramulator trace",
    "IfmapCustomLayout": "bank conflicts of a custom ifmap layout",
    "FilterCustomLayout": "bank conflicts of a custom filter layout",
}
"""Keys that, when true, change SCALE-Sim's results by something that is not modelled here."""

_WITHOUT_COUNTERPART: Final = (
    "IfmapOffset",
    "FilterOffset",
    "OfmapOffset",
    "ReadRequestBuffer",
    "WriteRequestBuffer",
    "IfmapSRAMBankBandwidth",
    "IfmapSRAMBankNum",
    "IfmapSRAMBankPort",
    "FilterSRAMBankBandwidth",
    "FilterSRAMBankNum",
    "FilterSRAMBankPort",
    "SparseRep",
    "OptimizedMapping",
    "BlockSize",
    "RandomNumberGeneratorSeed",
    "TopologyCsvLoc",
    *_SWITCHES,
)
"""Keys that SCALE-Sim reads and that say nothing about an architecture of this simulator."""

_KNOWN: Final[Mapping[str, str]] = {key.lower(): key for key in (*_USED, *_WITHOUT_COUNTERPART)}

_Settings = Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ScaleSimConfig:
    """What a SCALE-Sim configuration file says of an accelerator.

    overrides: values by dotted architecture field, bandwidth left out as it depends on the clock.
    bandwidth_bytes_per_cycle: of `InterfaceBandwidth: USER`, a word taken as one byte; None: not given.
    warnings: what the file asks for and does not get, in sentences.
    """

    overrides: Mapping[str, Any]
    bandwidth_bytes_per_cycle: int | None
    warnings: tuple[str, ...]

    def bandwidth_at(self, clock_mhz: float) -> dict[str, float]:
        """The override that sets the DRAM's bandwidth, in GB/s, at a clock; empty without a bandwidth."""
        if self.bandwidth_bytes_per_cycle is None:
            return {}
        # As a decimal fraction, so that 0.1 GB/s is 0.1 and not the sum of two roundings.
        return {BANDWIDTH_FIELD: float(self.bandwidth_bytes_per_cycle * Fraction(str(clock_mhz)) / 1000)}


def read_scalesim_cfg(path: str | Path) -> ScaleSimConfig:
    """The configuration in a SCALE-Sim file.

    Keys are read without regard to case, as SCALE-Sim reads them, and in whatever section they stand. Of
    several values, which its first version takes for a range, the first one is taken.

    Raises:
        UserError: unreadable, no such format, a key given twice, an unknown dataflow (the nearest one is
            suggested), or a size that is no positive whole number.
    """
    path = Path(path_text(path, what="a SCALE-Sim configuration"))
    settings, unknown = _settings(path)
    warnings = _Warnings(path.name)
    overrides: dict[str, Any] = {"array.timing": "scalesim"}
    for key, field in _SIZES.items():
        if key in settings:
            overrides[field] = _size(settings, key, path, warnings)
    if "run_name" in settings:
        overrides["name"] = settings["run_name"][1]
    if "Dataflow" in settings:
        overrides["array.dataflow"] = _choice(settings, "Dataflow", SCALESIM_DATAFLOWS, path)
    bandwidth = _bandwidth(settings, path, warnings)
    if _is_true(settings, "SparsitySupport"):
        warnings.add("SparsitySupport is true: sparsity is not modelled, every layer runs dense")
    missed = [key for key in _SWITCHES if _is_true(settings, key)]
    if missed:
        warnings.add(f"not modelled: {', '.join(f'{_SWITCHES[key]} ({key})' for key in missed)}")
    ignored = [key for key in _WITHOUT_COUNTERPART if key in settings and key not in missed]
    if ignored:
        warnings.add(f"keys without a counterpart here are ignored: {', '.join(ignored)}")
    if unknown:
        shown = ", ".join(_with_nearest(key) for key in unknown)
        warnings.add(f"keys that SCALE-Sim does not read are ignored: {shown}")
    return ScaleSimConfig(overrides, bandwidth, tuple(warnings.sentences))


class _Parser(ConfigParser):
    """A parser that keeps keys as they are spelled."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


class _Warnings:
    """Sentences about one file, each beginning with its name."""

    def __init__(self, file_name: str) -> None:
        self._file_name = file_name
        self.sentences: list[str] = []

    def add(self, sentence: str) -> None:
        self.sentences.append(f"{self._file_name}: {sentence}")


def _settings(path: Path) -> tuple[_Settings, list[str]]:
    """Section and text by key in SCALE-Sim's own spelling, and the keys that it does not read."""
    parser = _Parser(interpolation=None, inline_comment_prefixes=("#", ";"), default_section="")
    try:
        text = require_plain(read_text(path).removeprefix("\ufeff"), source=path)
        parser.read_string(text, source=str(path))
    except Error as error:
        problem = str(error).splitlines()[0]
        raise UserError(f"is not a SCALE-Sim configuration: {problem}", source=path) from error
    settings: dict[str, tuple[str, str]] = {}
    unknown: list[str] = []
    for section in parser.sections():
        for spelled, text in parser.items(section):
            key = _KNOWN.get(spelled.lower())
            if key is None:
                unknown.append(spelled)
            elif key in settings:
                raise UserError(
                    f"key is given twice, also in section {settings[key][0]}",
                    source=path,
                    location=section,
                    value=spelled,
                )
            else:
                settings[key] = (section, text.strip())
    if not settings and not unknown:
        raise UserError("holds no settings", source=path)
    return settings, unknown


def _with_nearest(key: str) -> str:
    used = {name.lower(): name for name in _USED}
    nearest = get_close_matches(key.lower(), used, n=1, cutoff=0.8)
    return f"{key} (did you mean {used[nearest[0]]}?)" if nearest else key


def _bandwidth(settings: _Settings, path: Path, warnings: _Warnings) -> int | None:
    """Bytes per cycle of `USER` mode; None in `CALC` mode, where SCALE-Sim ignores the key."""
    if _choice(settings, "InterfaceBandwidth", BANDWIDTH_MODES, path, default="CALC") == "CALC":
        if "Bandwidth" in settings:
            warnings.add("Bandwidth is ignored, as InterfaceBandwidth is not USER; the architecture's holds")
        return None
    if "Bandwidth" not in settings:
        warnings.add("InterfaceBandwidth is USER but there is no Bandwidth; the architecture's holds")
        return None
    return _size(settings, "Bandwidth", path, warnings)


def _size(settings: _Settings, key: str, path: Path, warnings: _Warnings) -> int:
    section, text = settings[key]
    first, *others = (part.strip() for part in text.split(","))
    if others:
        warnings.add(f"of the values {key}: {text} the first one is taken")
    number = re.fullmatch(r"([0-9]{1,18})([.]0*)?", first)
    if number is None or int(number[1]) < 1:
        raise UserError(
            "must be a whole number above zero", source=path, location=f"{section}.{key}", value=text
        )
    return int(number[1])


def _is_true(settings: _Settings, key: str) -> bool:
    return settings.get(key, ("", ""))[1].lower() in ("true", "yes", "on", "1")


def _choice(settings: _Settings, key: str, choices: tuple[str, ...], path: Path, *, default: str = "") -> str:
    section, text = settings.get(key, ("", default))
    by_lower = {choice.lower(): choice for choice in choices}
    if text.lower() not in by_lower:
        raise UserError(
            "is unknown", source=path, location=f"{section}.{key}", value=text, candidates=choices
        )
    return by_lower[text.lower()]
