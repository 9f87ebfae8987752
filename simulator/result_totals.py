"""The headline figures of a run, of chip and DRAM, together and apart."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from simulator.formation import Amount, Count, PositiveCount, Real, Share
from simulator.formation import Part as _Part
from simulator.foundation import sums
from simulator.foundation.femtojoules import Femtojoules
from simulator.result_defaults import chip_fj, dram_fj, totals_with_parts


class Totals(_Part):
    """The headline figures of a run; what follows from a price that is missing is None.

    `energy`, `power_mw` and `tops_per_w` are of chip and DRAM together, `chip_...` and `dram_...` of one of
    them. An operation is a multiplication or an addition: a MAC is two, in `tops` and whatever follows from
    it. `energy_bound` is the energy if registers of idle PEs toggled as those of busy ones.
    """

    cycles: PositiveCount
    macs: PositiveCount
    latency_ms: Annotated[Real, Field(gt=0)]
    energy_fj: Femtojoules | None
    energy_pj: Amount | None
    static_energy_fj: Femtojoules | None = 0
    static_energy_pj: Amount | None = 0.0
    chip_energy_fj: Femtojoules | None = None
    chip_energy_pj: Amount | None = None
    dram_energy_fj: Femtojoules | None = None
    dram_energy_pj: Amount | None = None
    energy_bound_fj: Femtojoules | None = None
    energy_bound_pj: Amount | None = None
    power_mw: Amount | None
    chip_power_mw: Amount | None = None
    dram_power_mw: Amount | None = None
    peak_layer_power_mw: Amount | None = 0.0
    area_um2: Amount | None
    utilization: Share
    tops: Amount = 0.0
    tops_per_w: Amount | None
    chip_tops_per_w: Amount | None = None
    tops_per_mm2: Amount | None = 0.0
    energy_delay_product_pj_ms: Amount | None = 0.0
    energy_by_component_fj: dict[str, Femtojoules | None] = Field(default_factory=dict)
    energy_by_component_pj: dict[str, Real | None] = Field(default_factory=dict)
    cycles_by_cause: dict[str, Count] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, fields: object) -> object:
        return totals_with_parts(fields)

    @model_validator(mode="after")
    def _closes(self) -> Totals:
        sums.require_view("totals", self.energy_fj, self.energy_pj)
        sums.require_view("totals: static energy", self.static_energy_fj, self.static_energy_pj)
        sums.require_views("totals", self.energy_by_component_fj, self.energy_by_component_pj)
        sums.require_view("totals: bound", self.energy_bound_fj, self.energy_bound_pj)
        return self

    def require_parts(self) -> None:
        """Chip and DRAM are what their components sum to, and priced where these are. Raises ValueError."""
        parts = self.energy_by_component_fj
        sums.require_equal("femtojoules of the chip", chip_fj(parts), self.chip_energy_fj)
        sums.require_equal("femtojoules of the DRAM", dram_fj(parts), self.dram_energy_fj)
        sums.require_view("totals: chip", self.chip_energy_fj, self.chip_energy_pj)
        sums.require_view("totals: DRAM", self.dram_energy_fj, self.dram_energy_pj)
        sums.require_priced_alike("totals", self.dram_energy_fj, dram_power_mw=self.dram_power_mw)
        sums.require_priced_alike("totals", self.chip_energy_fj, chip_power_mw=self.chip_power_mw)
        if self.chip_energy_fj:
            sums.require_priced_alike("totals", self.chip_energy_fj, chip_tops_per_w=self.chip_tops_per_w)
