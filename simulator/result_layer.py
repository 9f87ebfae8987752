"""What a result says of one layer: cycles by cause, bytes by operand, energy by component; it closes."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from simulator.formation import Amount, Count, EnergyFormation, PositiveCount, Real, Share
from simulator.formation import Part as _Part
from simulator.foundation import sums
from simulator.foundation.femtojoules import Femtojoules, in_pj
from simulator.foundation.sums import TOTAL
from simulator.result_accuracy import LayerAccuracy
from simulator.result_defaults import layer_with_bound


class LayerCycles(_Part):
    """Cycles of a layer; `stall` is the sum of the layer's named `stalls`."""

    compute: Count
    fill: Count
    drain: Count
    stall: Count = 0
    total: PositiveCount

    @model_validator(mode="after")
    def _closes(self) -> LayerCycles:
        sums.require_equal("cycles", self.compute + self.fill + self.drain + self.stall, self.total)
        return self


class OperandBytes(_Part):
    """Bytes read and written for one operand.

    `read` and `write` are useful bytes. `moved_read` and `moved_write` are those of the whole words (SRAM) or
    bursts (DRAM) that were touched for them; energy is charged by these. Files of schema 1 have none: 0.
    """

    read: Count = 0
    write: Count = 0
    moved_read: Count = 0
    moved_write: Count = 0


class OperandTraffic(_Part):
    """Bytes by operand."""

    ifmap: OperandBytes = OperandBytes()
    filter: OperandBytes = OperandBytes()
    ofmap: OperandBytes = OperandBytes()


class LayerResult(_Part):
    """One layer: its matrix product, cycles by cause, bytes and energy by component (None: not priced).

    `energy_bound_fj` is the whole energy if the registers of idle PEs toggled as those of busy ones: an upper
    bound where no tensors ran, else the energy itself.
    """

    name: str
    kind: str
    mac: str
    m: PositiveCount
    n: PositiveCount
    k: PositiveCount
    groups: PositiveCount = 1
    macs: PositiveCount
    folds: PositiveCount
    cycles: LayerCycles
    stalls: dict[str, Count] = Field(default_factory=dict)
    start_cycle: Count = 0
    utilization: Share
    tiling: dict[str, Any] = Field(default_factory=dict)
    sram_bytes: OperandTraffic
    dram_bytes: OperandTraffic
    accumulation_interval: PositiveCount = Field(
        1, description="Cycles that a sum is in a PE's adder, the slowest MAC's of the layer."
    )
    energy_fj: dict[str, Femtojoules | None]
    energy_pj: dict[str, Real | None]
    static_energy_fj: Femtojoules | None = 0
    static_energy_pj: Amount | None = 0.0
    energy_bound_fj: Femtojoules | None = None
    energy_bound_pj: Amount | None = None
    formation: list[EnergyFormation] = Field(default_factory=list)
    power_mw: Amount | None = 0.0
    pe_cycles: dict[str, Count] = Field(default_factory=dict)
    activity: dict[str, Real] = Field(default_factory=dict)
    accuracy: LayerAccuracy | None = None
    overflowed_sums: int | None = Field(
        None, ge=0, description="Sums of real tensors that left the accumulator; None where no tensors ran."
    )
    warnings: list[str] = Field(default_factory=list)

    @property
    def total_cycles(self) -> int:
        """Cycles from the layer's beginning to its end."""
        return self.cycles.total

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, fields: object) -> object:
        return layer_with_bound(fields)

    @model_validator(mode="after")
    def _closes(self) -> LayerResult:
        sums.require_equal(f"{self.name}: MACs", self.m * self.n * self.k, self.macs)
        sums.require_equal(f"{self.name}: stalls", sum(self.stalls.values()), self.cycles.stall)
        sums.require_closed_energy(self.name, self.energy_fj)
        sums.require_views(self.name, self.energy_fj, self.energy_pj)
        sums.require_view(f"{self.name}: static energy", self.static_energy_fj, self.static_energy_pj)
        sums.require_priced_alike(self.name, self.energy_fj[TOTAL], power_mw=self.power_mw)
        sums.require_view(f"{self.name}: bound", self.energy_bound_fj, self.energy_bound_pj)
        for line in self.formation:
            if in_pj(line.energy_fj) != line.energy_pj:
                sums.require_view(f"{self.name}: {line.unit_price}", line.energy_fj, line.energy_pj)
        return self
