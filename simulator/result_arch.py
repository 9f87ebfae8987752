"""What reports read of the architecture that a result holds as plain data, checked when the result is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from simulator.formation import PositiveCount, Real

_Positive = Annotated[Real, Field(gt=0)]
_NotNegative = Annotated[Real, Field(ge=0)]


_MOST_ON_A_SIDE: Final = 2**16
"""Far more PEs on a side of an array than any architecture may have."""


class _Shown(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class _Array(_Shown):
    rows: Annotated[PositiveCount, Field(le=_MOST_ON_A_SIDE)] = 1
    columns: Annotated[PositiveCount, Field(le=_MOST_ON_A_SIDE)] = 1
    dataflow: str = ""
    mac: str | dict[str, Any] | None = None
    column_blocks: list[dict[str, Any]] | None = None


class _Memory(_Shown):
    holds: list[str] | None = None
    word_bits: PositiveCount | None = None


class _Dram(_Shown):
    bandwidth_gbyte_per_s: _Positive = 1.0
    latency_ns: _NotNegative | None = None
    refresh_interval_ns: _NotNegative | None = None
    refresh_duration_ns: _NotNegative | None = None

    @model_validator(mode="after")
    def _refresh_leaves_time(self) -> _Dram:
        if self.refresh_interval_ns and (self.refresh_duration_ns or 0) >= self.refresh_interval_ns:
            message = "refresh_duration_ns must be shorter than refresh_interval_ns"
            raise ValueError(message)
        return self


class _Layer(_Shown):
    dataflow: str | None = None


class _Arch(_Shown):
    name: str = ""
    layers: dict[str, _Layer] = {}
    clock_mhz: _Positive = 1.0
    array: _Array = _Array()
    dram: _Dram = _Dram()
    sram: dict[str, _Memory | Real | str | None] = {}
    macs: dict[str, Any] | None = None


_SIZES: Final = ("tile_m", "tile_n", "tile_k", "tile_groups")


def require_shown(arch: Mapping[str, Any], tilings: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse fields that reports read and that are of another type than an architecture has.

    Args:
        arch: of a result; fields that are not there are not asked.
        tilings: of its layers, by name.

    Raises:
        ValueError: naming the first such field.
    """
    try:
        _Arch.model_validate(arch)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        message = f"arch.{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}"
        raise ValueError(message) from error
    for layer, tiling in tilings.items():
        for name in _SIZES:
            size = tiling.get(name)
            if size is not None and (type(size) is not int or size < 1):
                message = f"{layer}: tiling.{name} is {str(size)[:40]!r}, not a number of at least 1"
                raise ValueError(message)
