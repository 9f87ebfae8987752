"""The one result that console, JSON, report, compare and sweep read; it closes when it is built.

Energies are whole femtojoules (`energy_fj`), so that sums over layers, components and the total agree to the
last unit at any size; JSON holds them as decimal strings. Picojoules (`energy_pj`) are their rounded view.

A figure that no price table can give is None (`null` in JSON), and so is every figure that it is a part of; a
sum of the parts that are known is never shown as the whole. `Result.not_priced` says why.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, ValidationError, ValidationInfo, model_validator

from simulator.formation import (
    Amount,
    AreaFormation,
    PositiveCount,
    Real,
    UnitPrice,
    require_areas,
    require_formed,
    require_unit_prices,
)
from simulator.formation import Part as _Part
from simulator.foundation import UserError, sums
from simulator.foundation.documents import JsonText, pretty_json
from simulator.foundation.given_values import path_text
from simulator.foundation.reading.content import is_folder, read_text
from simulator.foundation.reading.json_documents import parse_json
from simulator.foundation.reading.limits import LARGEST_JSON_BYTES
from simulator.result_accuracy import Accuracy
from simulator.result_arch import require_shown
from simulator.result_laws import require_derived, require_inside
from simulator.result_layer import LayerCycles, LayerResult, OperandBytes, OperandTraffic
from simulator.result_seal import FIELD as SEALED
from simulator.result_seal import require_seal
from simulator.result_sources import MissingPrice, PriceSource, Sources, UnusedPrice
from simulator.result_totals import Totals
from simulator.result_v1 import energies_as_integers

__all__ = [
    "READ_VERSIONS",
    "SCHEMA_VERSION",
    "TOTAL",
    "Intervals",
    "LayerCycles",
    "LayerResult",
    "MissingPrice",
    "NetworkSummary",
    "OperandBytes",
    "OperandTraffic",
    "Origin",
    "PriceSource",
    "Result",
    "Sources",
    "Totals",
    "UnusedPrice",
    "load_result",
    "priced",
    "sum_known",
]

TOTAL = sums.TOTAL
priced = sums.priced
sum_known = sums.sum_known

SCHEMA_VERSION: Final = 2
READ_VERSIONS = (1, SCHEMA_VERSION)
"""Versions that `load_result` reads. In version 1 every figure had a price."""

_FORMATION_DEPTH = 3
"""Indentation of a layer's formation inside a result's JSON."""


class NetworkSummary(_Part):
    """Which network was simulated."""

    name: str
    source: str = ""
    batch: PositiveCount = 1
    layers: PositiveCount
    macs: PositiveCount
    skipped_operators: list[str] = Field(default_factory=list)


class Origin(_Part):
    """What a run was given by name, from which it can be run again (`systolic reproduce`).

    arch: the architecture before a policy chose formats for its layers; None: `arch` of the result.
    data, policy, policies, images, preprocess, labels: what a trained network ran on, and how.
    scalesim_cfg: a SCALE-Sim configuration.
    """

    network: str
    batch: int | None = None
    skip_unsupported: bool = False
    input_shapes: dict[str, list[int]] = Field(default_factory=dict)
    dims: dict[str, int] = Field(default_factory=dict)
    batch_axis: str | None = None
    input_values: dict[str, float] = Field(default_factory=dict)
    data: str | None = None
    policy: str | None = None
    policies: dict[str, str] = Field(default_factory=dict)
    images: int | None = None
    preprocess: str | None = None
    labels: str | None = None
    scalesim_cfg: str | None = None
    arch: dict[str, Any] | None = None


class Intervals(_Part):
    """From where to where the totals lie, at nominal 90 %, as prices know them; None where not priced."""

    energy_pj: tuple[Real, Real] | None = None
    area_um2: tuple[Real, Real] | None = None


class Result(_Part):
    """A whole simulation. Building one checks that everything adds up.

    Raises:
        ValueError: a sum over layers or components that does not meet its total.
    """

    schema_version: Literal[2] = SCHEMA_VERSION
    simulator_version: str
    network: NetworkSummary
    arch: dict[str, Any]
    mac: str
    totals: Totals
    layers: list[LayerResult] = Field(min_length=1)
    area_um2: dict[str, Amount | None]
    area_formation: list[AreaFormation] = Field(default_factory=list)
    unit_prices: list[UnitPrice] = Field(default_factory=list)
    not_priced: list[MissingPrice] = Field(default_factory=list)
    intervals: Intervals | None = None
    made_from: Origin | None = None
    left_out: list[str] = Field(
        default_factory=list, description="Parts of a real chip that no figure contains."
    )
    sources: Sources
    accuracy: Accuracy | None = None
    warnings: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _closes(self) -> Result:
        layers, totals = self.layers, self.totals
        sums.require_equal("cycles", sum(layer.cycles.total for layer in layers), totals.cycles)
        sums.require_equal("MACs", sum(layer.macs for layer in layers), totals.macs)
        sums.require_equal("cycles by cause", sum(totals.cycles_by_cause.values()), totals.cycles)
        energies_fj = [layer.energy_fj for layer in layers]
        sums.require_closed_layers(energies_fj, totals.energy_by_component_fj, totals.energy_fj)
        static_fj = sum_known([layer.static_energy_fj for layer in layers])
        sums.require_equal("femtojoules of static energy", static_fj, totals.static_energy_fj)
        areas_um2 = [area for component, area in self.area_um2.items() if component != TOTAL]
        sums.require_close("area", sum_known(areas_um2), totals.area_um2)
        if TOTAL in self.area_um2:
            sums.require_close("total area", self.area_um2[TOTAL], totals.area_um2)
        sums.require_priced_alike(
            "totals",
            totals.energy_fj,
            power_mw=totals.power_mw,
            peak_layer_power_mw=totals.peak_layer_power_mw,
            tops_per_w=totals.tops_per_w,
            energy_delay_product_pj_ms=totals.energy_delay_product_pj_ms,
        )
        sums.require_priced_alike("totals", totals.area_um2, tops_per_mm2=totals.tops_per_mm2)
        self._require_reasons()
        return self

    @model_validator(mode="after")
    def _is_formed(self, info: ValidationInfo) -> Result:
        """Every line is what it says, down to the prices, and lines sum to components and to static energy.

        Version 1 rounded its lines by another rule, so theirs are read as they stand.
        """
        if info.context and info.context.get("schema_version") == 1:
            return self
        prices: dict[str, float] = {}
        for price in self.sources.prices:
            reference = f"{price.table}:{price.row}"
            if prices.setdefault(reference, price.value) != price.value:
                message = f"price {reference!r} is given twice, as {prices[reference]} and {price.value}"
                raise ValueError(message)
        units = {unit.name: unit for unit in self.unit_prices}
        known: set[tuple[int, int]] = set()
        for layer in self.layers:
            shared = id(layer.formation), id(layer.energy_fj)  # by layers that were priced as one
            if layer.formation and shared not in known:
                known.add(shared)
                require_formed(layer.name, layer.formation, units, layer.energy_fj, layer.static_energy_fj)
        require_unit_prices(self.unit_prices, prices)
        if self.area_formation:
            require_areas(self.area_formation, prices, self.area_um2)
        return self

    @model_validator(mode="after")
    def _follows(self, info: ValidationInfo) -> Result:
        """Figures are what they follow from; those that a document of version 1 leaves out are not asked."""
        require_shown(self.arch, {layer.name: layer.tiling for layer in self.layers})
        version = (info.context or {}).get("schema_version")
        require_derived(self.totals, self.layers, self.arch, complete=version == SCHEMA_VERSION)
        if self.intervals is not None:
            require_inside("energy_pj", self.totals.energy_pj, self.intervals.energy_pj)
            require_inside("area_um2", self.totals.area_um2, self.intervals.area_um2)
        sums.require_equal("layers", len(self.layers), self.network.layers)
        sums.require_equal("MACs of the network", self.totals.macs, self.network.macs)
        return self

    @model_validator(mode="after")
    def _is_bounded(self) -> Result:
        """Chip and DRAM make the total; energies do not exceed their bounds, which sum like them."""
        self.totals.require_parts()
        for layer in self.layers:
            sums.require_bound(layer.name, layer.energy_fj[TOTAL], layer.energy_bound_fj)
        bound_fj = sum_known([layer.energy_bound_fj for layer in self.layers])
        sums.require_equal("femtojoules of the bound", bound_fj, self.totals.energy_bound_fj)
        return self

    def _require_reasons(self) -> None:
        """What is not priced has a reason, and nothing else has one."""
        figures: dict[str, dict[str, int | None] | dict[str, float | None]] = {
            "energy": self.totals.energy_by_component_fj,
            "area": self.area_um2,
        }
        for figure, values in figures.items():
            without = {part for part, value in values.items() if value is None and part != TOTAL}
            told = {missing.component for missing in self.not_priced if missing.figure == figure}
            if without != told:
                message = f"{figure} is not priced for {sorted(without)}, reasons stand for {sorted(told)}"
                raise ValueError(message)

    def to_json(self) -> str:
        """The result as JSON text; the same inputs give the same bytes."""
        document = self.model_dump(mode="json", exclude={"layers"})
        document["layers"] = self._layer_documents()
        return pretty_json({name: document[name] for name in Result.model_fields}) + "\n"

    def _layer_documents(self) -> list[dict[str, Any]]:
        """Every layer as plain data; what equal layers share of their energy is put into words once."""
        formations: dict[int, JsonText] = {}
        documents = []
        for layer in self.layers:
            document = layer.model_dump(mode="json", exclude={"formation"})
            shared = id(layer.formation)
            if shared not in formations:
                lines = layer.model_dump(mode="json", include={"formation"})["formation"]
                formations[shared] = JsonText(pretty_json(lines, _FORMATION_DEPTH))
            document["formation"] = formations[shared]
            documents.append({name: document[name] for name in LayerResult.model_fields})
        return documents


def load_result(path: str | Path, *, key: str | None = None) -> Result:
    """A result read back from `result.json` (or the folder that holds it).

    A file of schema version 1 is read as one of this version: its picojoules become whole femtojoules, which
    must close too. A file of a sweep's store is sealed; its checksum is checked, and that it was stored under
    `key` where one is given.

    Raises:
        UserError: unreadable, not a result, another schema version, sums that do not close, figures that are
            not what they follow from, numbers out of range, or a seal that does not hold.
    """
    path = Path(path_text(path, what="a result"))
    if is_folder(path):
        path = path / "result.json"
    text = read_text(path, most_bytes=LARGEST_JSON_BYTES)
    document = parse_json(text, source=path)
    if key is not None or (isinstance(document, dict) and SEALED in document):
        require_seal(text, source=path, key=key)
        document = {name: value for name, value in document.items() if name != SEALED}
    if not isinstance(document, dict) or "schema_version" not in document:
        raise UserError("is not a result of `systolic simulate`", source=path)
    if type(document["schema_version"]) is not int or document["schema_version"] not in READ_VERSIONS:
        raise UserError(
            "was written with another schema version",
            source=path,
            location="schema_version",
            value=document["schema_version"],
            allowed=" or ".join(map(str, READ_VERSIONS)),
        )
    version = document["schema_version"]
    if version == 1:
        document = energies_as_integers(document)
    try:
        return Result.model_validate(
            document | {"schema_version": SCHEMA_VERSION}, context={"schema_version": version}
        )
    except (ArithmeticError, RecursionError) as error:
        raise UserError("is not a valid result: it has numbers beyond any range", source=path) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        location = ".".join(str(part) for part in first["loc"]) or None
        raise UserError(f"is not a valid result: {first['msg']}", source=path, location=location) from error
