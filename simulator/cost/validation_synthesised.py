"""Published PEs beside what their synthesised hardware predicts, calibrated on another published PE each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from simulator.cost.synthesised_figures import synthesised_ratio
from simulator.cost.validation_figures import published
from simulator.prediction import Check

_FIRST: Final = "johnson2018_28nm"
_SECOND: Final = "tsmc_28hpc_plus"


@dataclass(frozen=True, slots=True)
class Calibrated:
    """How a figure is predicted: the synthesised PE, and the published PE that it is scaled by.

    anchor: its variant among synthesised PEs; row: its row in the table.
    """

    variant: str
    action: str
    anchor: str
    table: str
    row: str

    @property
    def value(self) -> float:
        """The prediction in the unit of the row."""
        return published(self.table, "pe", self.row, self.action) * synthesised_ratio(
            self.variant, self.anchor, self.action
        )


CALIBRATED: Final = {
    **{
        f"{name} PE {figure}, composed": Calibrated(name, action, "int8", _FIRST, "int8")
        for name in ("elma8", "elma16", "fp16")
        for figure, action in (("energy", "operate"), ("area", "area"))
    },
    "28HPC+ int16/32 PE area": Calibrated("int16", "area", "int8", _SECOND, "int8"),
    "28HPC+ float16 PE area": Calibrated("fp16", "area", "int8", _SECOND, "int8"),
    "28HPC+ float16 fed with e5m2, PE area": Calibrated("float8_float16", "area", "fp16", _SECOND, "float16"),
}
"""By the name of the check. int8 PEs calibrate, so they are predicted by nothing."""


def with_synthesised(checks: Iterable[Check]) -> Iterator[Check]:
    """The same checks with what synthesis predicts, where it does."""
    for check in checks:
        found = CALIBRATED.get(check.name)
        yield check if found is None else replace(check, synthesised=found.value)
