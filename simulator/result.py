"""The one result that console, JSON, report, compare and sweep read; it closes when it is built.

Energies are whole femtojoules inside (`Energy`), so that sums over layers, components and the total agree
to the last unit; JSON shows picojoules with at most three decimals.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from simulator.foundation import UserError
from simulator.foundation.documents import pretty_json, read_text

SCHEMA_VERSION = 1
TOTAL = "total"

ComponentEnergy = Mapping[str, float]
"""Picojoules by component, with the key `total`."""


def femtojoules(energy_pj: float) -> int:
    """Picojoules as the whole number of femtojoules that results are summed in."""
    return round(energy_pj * 1000)


def close_energy(parts_fj: Mapping[str, int]) -> dict[str, float]:
    """Picojoules by component with their exact `total`, from whole femtojoules."""
    closed = {component: energy / 1000 for component, energy in parts_fj.items()}
    closed[TOTAL] = sum(parts_fj.values()) / 1000
    return closed


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LayerCycles(_Part):
    """Cycles of a layer; `stall` is the sum of the layer's named `stalls`."""

    compute: int = Field(ge=0)
    fill: int = Field(ge=0)
    drain: int = Field(ge=0)
    stall: int = Field(0, ge=0)
    total: int = Field(ge=0)

    @model_validator(mode="after")
    def _closes(self) -> LayerCycles:
        _require_equal("cycles", self.compute + self.fill + self.drain + self.stall, self.total)
        return self


class OperandBytes(_Part):
    """Bytes read and written for one operand."""

    read: int = Field(0, ge=0)
    write: int = Field(0, ge=0)


class OperandTraffic(_Part):
    """Bytes by operand."""

    ifmap: OperandBytes = OperandBytes()
    filter: OperandBytes = OperandBytes()
    ofmap: OperandBytes = OperandBytes()


def pack_outcomes(right: Iterable[bool]) -> str:
    """Bits in hexadecimal, as `Accuracy.right` holds them; the last byte is filled up with zeros."""
    bits = "".join("1" if each else "0" for each in right)
    bits += "0" * (-len(bits) % 8)
    return "".join(f"{int(bits[start : start + 8], 2):02x}" for start in range(0, len(bits), 8))


class LayerAccuracy(_Part):
    """A layer's output through the array's arithmetic against float32."""

    sqnr_db: float | None = None
    cosine: float | None = None
    largest_error: float | None = None
    saturated: int = 0
    underflowed: int = 0
    elements: int = 0


class UsedPrice(_Part):
    """`quantity` of one price (`table:row` of `sources.prices`) inside a unit price."""

    row: str
    quantity: float
    what: str = ""


class UnitPrice(_Part):
    """What one action of a component costs: the sum of quantity x price over `prices`, less their leakage.

    For static energy it is milliwatts, which are picojoules per nanosecond.
    """

    name: str
    component: str
    kind: Literal["dynamic", "static"]
    operand: Literal["ifmap", "filter", "ofmap"] | None = None
    counted: str
    price_pj: float
    less_leakage_pj: float = 0.0
    prices: list[UsedPrice]


class EnergyFormation(_Part):
    """How a part of a layer's energy was formed: count x unit price x factor, to the whole femtojoule."""

    unit_price: str
    count: float
    factor: float = 1.0
    factor_reason: str = ""
    energy_pj: float


class AreaFormation(_Part):
    """How a part of the area was formed: count x unit area, the sum of quantity x price over `prices`."""

    component: str
    counted: str
    count: float
    unit_area_um2: float
    area_um2: float
    prices: list[UsedPrice]


class LayerResult(_Part):
    """One layer: its matrix product, cycles by cause, bytes and picojoules."""

    name: str
    kind: str
    mac: str
    m: int
    n: int
    k: int
    groups: int = 1
    macs: int
    folds: int
    cycles: LayerCycles
    stalls: dict[str, int] = Field(default_factory=dict)
    start_cycle: int = 0
    utilization: float
    tiling: dict[str, Any] = Field(default_factory=dict)
    sram_bytes: OperandTraffic
    dram_bytes: OperandTraffic
    energy_pj: dict[str, float]
    static_energy_pj: float = 0.0
    formation: list[EnergyFormation] = Field(default_factory=list)
    power_mw: float = 0.0
    pe_cycles: dict[str, int] = Field(default_factory=dict)
    activity: dict[str, float] = Field(default_factory=dict)
    accuracy: LayerAccuracy | None = None
    overflowed_sums: int | None = Field(
        None, ge=0, description="Sums of real tensors that left the accumulator; None where no tensors ran."
    )
    warnings: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _closes(self) -> LayerResult:
        _require_equal(f"{self.name}: MACs", self.m * self.n * self.k, self.macs)
        _require_equal(f"{self.name}: stalls", sum(self.stalls.values()), self.cycles.stall)
        _require_closed_energy(self.name, self.energy_pj)
        if self.formation:
            formed_fj = sum(femtojoules(line.energy_pj) for line in self.formation)
            _require_equal(f"{self.name}: femtojoules formed", formed_fj, femtojoules(self.energy_pj[TOTAL]))
        return self


class Totals(_Part):
    """The headline figures of a run."""

    cycles: int
    macs: int
    latency_ms: float
    energy_pj: float
    static_energy_pj: float = 0.0
    power_mw: float
    peak_layer_power_mw: float = 0.0
    area_um2: float
    utilization: float
    tops: float = 0.0
    tops_per_w: float
    tops_per_mm2: float = 0.0
    energy_delay_product_pj_ms: float = 0.0
    energy_by_component_pj: dict[str, float] = Field(default_factory=dict)
    cycles_by_cause: dict[str, int] = Field(default_factory=dict)


class Accuracy(_Part):
    """Accuracy of a network with this arithmetic on labelled images, beside float32."""

    images: int
    top1: float | None = None
    top5: float | None = None
    top1_float32: float | None = None
    top5_float32: float | None = None
    agreement_with_float32: float
    policy: str = ""
    choices: dict[str, Any] = Field(default_factory=dict)
    data: str = ""
    images_hash: str = ""
    right: str = Field(
        "",
        description="A bit for each image in hexadecimal, the first one the highest of the first byte:"
        " whether top-1 is right, or agrees with float32 where there are no labels.",
    )

    @property
    def outcomes(self) -> list[bool]:
        """Whether each image is right; empty where the result does not say."""
        bits = "".join(f"{int(digit, 16):04b}" for digit in self.right)
        return [bit == "1" for bit in bits[: self.images]]


class PriceSource(_Part):
    """One price that was used, and where it comes from."""

    component: str
    action: str
    value: float
    unit: Literal["pJ", "um2", "mW", "pJ/byte", "pJ/bit", "pJ/bit/mm", "mW/um2"]
    status: Literal["published", "derived", "model", "ratio", "composed"]
    source: str
    table: str
    row: str
    node_nm: float | None = None
    voltage_v: float | None = None
    temperature_c: float | None = None
    corner: str | None = None
    clock_mhz: float | None = None
    activity: str = ""
    uncertainty: float | None = None
    formula: str = ""
    scaling: list[str] = Field(default_factory=list)
    used_for: list[str] = Field(default_factory=list)


class Sources(_Part):
    """Hashes of every table and configuration that went in, and the provenance of every price used."""

    table_hashes: dict[str, str]
    arch_hash: str
    network_hash: str
    prices: list[PriceSource]
    notes: list[str] = Field(default_factory=list)


class NetworkSummary(_Part):
    """Which network was simulated."""

    name: str
    source: str = ""
    batch: int = 1
    layers: int
    macs: int
    skipped_operators: list[str] = Field(default_factory=list)


class Result(_Part):
    """A whole simulation. Building one checks that everything adds up.

    Raises:
        ValueError: a sum over layers or components that does not meet its total.
    """

    schema_version: Annotated[int, Field(ge=1)] = SCHEMA_VERSION
    simulator_version: str
    network: NetworkSummary
    arch: dict[str, Any]
    mac: str
    totals: Totals
    layers: list[LayerResult] = Field(min_length=1)
    area_um2: dict[str, float]
    area_formation: list[AreaFormation] = Field(default_factory=list)
    unit_prices: list[UnitPrice] = Field(default_factory=list)
    sources: Sources
    accuracy: Accuracy | None = None
    warnings: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _closes(self) -> Result:
        layers = self.layers
        _require_equal("cycles", sum(layer.cycles.total for layer in layers), self.totals.cycles)
        _require_equal("MACs", sum(layer.macs for layer in layers), self.totals.macs)
        total_fj = sum(femtojoules(layer.energy_pj[TOTAL]) for layer in layers)
        _require_equal("femtojoules over layers", total_fj, femtojoules(self.totals.energy_pj))
        by_component_fj = {name: femtojoules(e) for name, e in self.totals.energy_by_component_pj.items()}
        _require_equal("femtojoules over components", sum(by_component_fj.values()), total_fj)
        for component, energy_fj in by_component_fj.items():
            over_layers_fj = sum(femtojoules(layer.energy_pj.get(component, 0.0)) for layer in layers)
            _require_equal(f"femtojoules of {component}", over_layers_fj, energy_fj)
        _require_equal("cycles by cause", sum(self.totals.cycles_by_cause.values()), self.totals.cycles)
        area_um2 = sum(area for component, area in self.area_um2.items() if component != TOTAL)
        if abs(area_um2 - self.totals.area_um2) > 1e-9 * max(area_um2, 1.0):
            _not_closed("area", area_um2, self.totals.area_um2)
        return self

    def to_json(self) -> str:
        """The result as JSON text; the same inputs give the same bytes."""
        return pretty_json(self.model_dump(mode="json")) + "\n"


def load_result(path: Path) -> Result:
    """A result read back from `result.json` (or the folder that holds it).

    Raises:
        UserError: unreadable, not a result, another schema version, or sums that do not close.
    """
    if path.is_dir():
        path = path / "result.json"
    text = read_text(path)
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError("is not JSON", source=path, location=f"line {error.lineno}") from error
    if not isinstance(document, dict) or "schema_version" not in document:
        raise UserError("is not a result of `systolic simulate`", source=path)
    if document["schema_version"] != SCHEMA_VERSION:
        raise UserError(
            "was written with another schema version",
            source=path,
            location="schema_version",
            value=document["schema_version"],
            allowed=str(SCHEMA_VERSION),
        )
    try:
        return Result.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        location = ".".join(str(part) for part in first["loc"]) or None
        raise UserError(f"is not a valid result: {first['msg']}", source=path, location=location) from error


def _require_closed_energy(name: str, energy_pj: Mapping[str, float]) -> None:
    parts_fj = sum(femtojoules(energy) for part, energy in energy_pj.items() if part != TOTAL)
    _require_equal(f"{name}: femtojoules", parts_fj, femtojoules(energy_pj[TOTAL]))


def _require_equal(what: str, parts: int, whole: int) -> None:
    if parts != whole:
        _not_closed(what, parts, whole)


def _not_closed(what: str, parts: float, whole: float) -> NoReturn:
    message = f"{what} do not add up: the parts give {parts}, the whole says {whole}"
    raise ValueError(message)
