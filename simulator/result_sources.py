"""Where the prices of a result come from, which are missing, and which of your own went unused."""

from __future__ import annotations

from typing import Literal, Protocol

from pydantic import Field

from simulator.formation import Amount, NoPrice, Real
from simulator.formation import Part as _Part


class Silicon(Protocol):
    """What a price holds for, as far as it is stated."""

    @property
    def node_nm(self) -> float | None:
        """Process node."""

    @property
    def voltage_v(self) -> float | None:
        """Supply."""

    @property
    def temperature_c(self) -> float | None:
        """Of the silicon."""

    @property
    def corner(self) -> str | None:
        """`TT`, `SS` or `FF`."""

    @property
    def clock_mhz(self) -> float | None:
        """The clock."""


def silicon_text(silicon: Silicon) -> str:
    """What is stated of the silicon, in one line: `28 nm, 0.9 V, 25 C, TT, 800 MHz`."""
    figures = (
        (silicon.node_nm, "nm"),
        (silicon.voltage_v, "V"),
        (silicon.temperature_c, "C"),
        (silicon.corner, ""),
        (silicon.clock_mhz, "MHz"),
    )
    return ", ".join(
        value if isinstance(value, str) else f"{value:g} {unit}"
        for value, unit in figures
        if value is not None
    )


class PriceSource(_Part):
    """One price that was used, and where it comes from."""

    component: str
    action: str
    value: Amount
    unit: Literal["pJ", "um2", "mW", "pJ/byte", "pJ/bit", "pJ/bit/mm", "mW/um2", "ns"]
    status: Literal[
        "published", "derived", "model", "tool_default", "ratio", "own", "synthesised", "composed"
    ]
    source: str
    table: str
    row: str
    node_nm: Amount | None = None
    voltage_v: Amount | None = None
    temperature_c: Real | None = None
    corner: str | None = None
    clock_mhz: Amount | None = None
    activity: str = ""
    uncertainty: Amount | None = None
    formula: str = ""
    scaling: list[str] = Field(default_factory=list)
    used_for: list[str] = Field(default_factory=list)


class MissingPrice(NoPrice):
    """A component that has no energy, in some layer at least, or no area, and why."""

    component: str
    figure: Literal["energy", "area"]


class UnusedPrice(_Part):
    """Rows of one of your own tables that no figure of the result follows from, and why.

    never: whether no network could use them with these tables and MACs; a name or the order of the tables
        is likely wrong, so the result warns.
    """

    table: str
    rows: list[str]
    reason: str
    never: bool


class Sources(_Part):
    """Hashes of every table and configuration that went in, and the provenance of every price used."""

    table_hashes: dict[str, str]
    arch_hash: str
    network_hash: str
    prices: list[PriceSource]
    unused: list[UnusedPrice] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
