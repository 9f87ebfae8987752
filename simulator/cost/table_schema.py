"""What a price table consists of, as written in its file and as checked rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from simulator.cost.vocabulary import VALUE_FIELDS, BaseUnit

Status = Literal["published", "derived", "model", "tool_default", "ratio", "own", "synthesised"]
Role = Literal["prices", "cross_check", "validation"]
Scope = Literal["logic", "macro", "external", "bound"]
Register = Literal["activation", "weight", "accumulator"]

MOST_WORD_BITS: Final = 2**20
"""As wide as a word of a memory of an architecture may be."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Conditions(_Strict):
    """The silicon and the stimulus under which a price holds."""

    scope: Scope = Field(
        "logic",
        description="`logic`: must match the architecture's process and clock; `macro`: a memory with its "
        "own supply, only the node must match; `external`: another chip; `bound`: an upper bound for "
        "milder conditions at the same node.",
    )
    node_nm: float | None = Field(None, gt=0, allow_inf_nan=False)
    voltage_v: float | None = Field(None, gt=0, allow_inf_nan=False)
    temperature_c: float | None = Field(None, allow_inf_nan=False)
    corner: Literal["TT", "SS", "FF"] | None = None
    clock_mhz: float | None = Field(None, gt=0, allow_inf_nan=False)
    activity: str = Field(min_length=1)

    @model_validator(mode="after")
    def _logic_is_fully_stated(self) -> Conditions:
        if self.scope == "logic" and None in (
            self.node_nm,
            self.voltage_v,
            self.temperature_c,
            self.clock_mhz,
        ):
            message = "conditions of logic need node_nm, voltage_v, temperature_c and clock_mhz"
            raise ValueError(message)
        if self.scope in {"macro", "bound"} and self.node_nm is None:
            message = f"conditions of scope {self.scope} need node_nm"
            raise ValueError(message)
        return self


class MacMatch(_Strict):
    """The MAC that a variant is, whatever it is called: all fields must agree with it."""

    activation: str
    weight: str
    product: Literal["exact", "log", "fused"]
    accumulator: int | str = Field(description="Bits of a fixed accumulator, or the format of a float one.")
    pipeline_depth: int = 1


class TableRow(_Strict):
    """One row as written: exactly one value, its provenance, and what it is part of or made of."""

    component: str
    variant: str = Field(min_length=1)
    action: str
    conditions: str
    source: str = Field(min_length=1)
    status: Status
    energy_pj: float | None = None
    energy_fj: float | None = None
    power_uw: float | None = None
    energy_pj_per_byte: float | None = None
    energy_pj_per_bit: float | None = None
    energy_fj_per_bit_mm: float | None = None
    area_um2: float | None = None
    area_mm2: float | None = None
    leakage_mw: float | None = None
    leakage_nw_per_um2: float | None = None
    time_ns: float | None = None
    fitted: str | None = Field(None, description="Name of the fit that gives the value instead of a figure.")
    capacity_kib: float | None = Field(None, gt=0, allow_inf_nan=False)
    word_bits: int | None = Field(None, gt=0, le=MOST_WORD_BITS)
    capacity_exponent: float | None = Field(
        None,
        ge=0,
        le=8,
        description="A term of a fitted memory: the value is at 1 KiB and grows with this power.",
    )
    word_exponent: float | None = Field(
        None,
        ge=-8,
        le=8,
        description="A term of a fitted memory: the value is at 1 bit and grows with this power.",
    )
    parts: tuple[str, ...] = Field((), description="Rows that add up to this one.")
    remainder: float | None = Field(None, description="What the parts leave unlisted, in the row's own unit.")
    uncertainty: float | None = Field(
        None, ge=0, le=100, description="Relative, 0.1 for 10 %; at most 100, a factor of a hundred."
    )
    max_clock_mhz: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Clock up to which the PE meets timing."
    )
    formats: str | None = Field(None, description="What the PE multiplies, `int8 x int4`, to be checked.")
    accumulator: int | str | None = Field(
        None, description="Bits of its fixed accumulator or format of its float one, to be checked."
    )
    reason: str | None = Field(None, min_length=1, description="Why a value is zero.")
    low: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="Lower end of the value's interval, in its own unit."
    )
    high: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="Upper end of the value's interval, in its own unit."
    )
    note: str = ""

    @property
    def key(self) -> str:
        """What the row is called: component/variant/action and, for memories, size and word width."""
        coordinates = [f"{self.capacity_kib:g}KiB"] if self.capacity_kib is not None else []
        coordinates += [f"{self.word_bits}bit"] if self.word_bits is not None else []
        coordinates += [f"KiB^{self.capacity_exponent:g}"] if self.capacity_exponent is not None else []
        coordinates += [f"bit^{self.word_exponent:g}"] if self.word_exponent is not None else []
        return "/".join([self.component, self.variant, self.action, *coordinates])

    @property
    def given(self) -> list[str]:
        """Names of the value fields that were given."""
        return [name for name in VALUE_FIELDS if getattr(self, name) is not None]


class Equation(_Strict):
    """`counts[i]` of each unknown together cost what the published row costs."""

    row: str = Field(description="`table:row` of the published figure.")
    counts: tuple[float, ...] = Field(min_length=1)


class Fit(_Strict):
    """Constants that solve as many linear equations against published rows as there are constants."""

    unknowns: tuple[str, ...] = Field(min_length=1, description="Rows whose value the fit gives.")
    equations: tuple[Equation, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _square(self) -> Fit:
        if any(len(equation.counts) != len(self.unknowns) for equation in self.equations) or len(
            self.equations
        ) != len(self.unknowns):
            message = "a fit needs one equation for each unknown and one count for each unknown in it"
            raise ValueError(message)
        return self


class Characterisation(_Strict):
    """Flip-flops of a published PE and the bits that toggled per cycle while its power was taken."""

    flip_flops: dict[Register, int]
    toggles_per_cycle: dict[Register, float] | None = None
    source: str = Field(min_length=1)

    @model_validator(mode="after")
    def _toggles_fit_the_flip_flops(self) -> Characterisation:
        registers: tuple[Register, ...] = ("activation", "weight", "accumulator")
        if any(self.flip_flops.get(name, 0) < 1 for name in registers):
            message = "flip_flops needs a whole number of at least 1 for activation, weight and accumulator"
            raise ValueError(message)
        toggles = self.toggles_per_cycle
        if toggles is None:
            return self
        if not all(0 <= toggles.get(name, -1) <= self.flip_flops[name] for name in registers):
            message = (
                "toggles_per_cycle needs activation, weight and accumulator, each from 0 to as many as its "
                "flip_flops"
            )
            raise ValueError(message)
        if not toggles["accumulator"] or not toggles["activation"] + toggles["weight"]:
            message = (
                "toggles_per_cycle must not be 0 of the accumulator, nor of activation and weight together: "
                "a layer's toggles are priced relative to them"
            )
            raise ValueError(message)
        return self


class SynthesisProvenance(_Strict):
    """How the synthesised rows of a variant came about."""

    tools: dict[str, str] = Field(min_length=1, description="Versions of the tools by name.")
    script_sha256: str = Field(min_length=64, max_length=64, description="Of the passes of all candidates.")
    library: str = Field(min_length=1, description="`generic`, or `given` for one of the user's own.")
    library_sha256: str = Field(min_length=64, max_length=64)
    candidate: str = Field(min_length=1, description="The implementation that was chosen.")
    delay_ns: float = Field(gt=0, allow_inf_nan=False, description="Its shortest clock period.")
    stimulus: str = Field(min_length=1)
    seed: int = Field(ge=0)
    calibration: str = Field(
        min_length=1, description="`table:row` that areas and energies were scaled by, or `none`."
    )
    at_least: bool = Field(
        default=False, description="Whether the evidence says that the true figure is larger."
    )

    @property
    def text(self) -> str:
        """In one line."""
        scaled = "absolute" if self.calibration == "none" else f"scaled by {self.calibration}"
        least = ", at least" if self.at_least else ""
        return f"{self.library} library, {self.candidate}, {self.delay_ns:g} ns, {scaled}{least}"


class MemoryRange(_Strict):
    """The memories that the terms of a fitted memory were fitted to; beyond them they are extrapolated."""

    capacity_kib: tuple[float, float]
    word_bits: tuple[float, float]

    @model_validator(mode="after")
    def _ascends(self) -> MemoryRange:
        for low, high in (self.capacity_kib, self.word_bits):
            if not 0 < low <= high:
                message = "a range needs a positive lower end and an upper end that is not below it"
                raise ValueError(message)
        return self


class TableDocument(_Strict):
    """A table file as written."""

    table: str = Field(description="The table's name: its file name without suffix.")
    description: str
    role: Role = "prices"
    sources: dict[str, str] = Field(min_length=1)
    conditions: dict[str, Conditions] = Field(min_length=1)
    fits: dict[str, Fit] = Field(default_factory=dict)
    characterised: dict[str, Characterisation] = Field(default_factory=dict)
    macs: dict[str, MacMatch] = Field(
        default_factory=dict,
        description="Variants that price every MAC with these numerics. Other variants price MACs by name.",
    )
    synthesised: dict[str, SynthesisProvenance] = Field(
        default_factory=dict, description="Of each variant whose rows have the status `synthesised`."
    )
    fitted_memories: MemoryRange | None = Field(
        None, description="What rows with exponents were fitted to; needed where a table has such rows."
    )
    rows: list[dict[str, Any]] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class PriceRow:
    """One checked row: its value in the base unit of its kind, with conditions and provenance resolved."""

    table: str
    key: str
    component: str
    variant: str
    action: str
    value: float
    unit: BaseUnit
    status: Status
    source: str
    conditions: Conditions
    uncertainty: float | None
    capacity_kib: float | None
    word_bits: int | None
    formula: str
    note: str
    max_clock_mhz: float | None = None
    formats: str | None = None
    accumulator: int | str | None = None
    capacity_exponent: float | None = None
    word_exponent: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def reference(self) -> str:
        """`table:row`, unique among all tables."""
        return f"{self.table}:{self.key}"


@dataclass(frozen=True, slots=True)
class PriceTable:
    """A checked table: its rows by key, and the hash of its text.

    fitted_to: names of the tables whose rows its fits solve; their prices are of one source with its own.
    bundled: whether it comes with the simulator.
    """

    name: str
    description: str
    role: Role
    rows: Mapping[str, PriceRow]
    characterised: Mapping[str, Characterisation]
    sha256: str
    macs: Mapping[str, MacMatch]
    fitted_to: frozenset[str]
    bundled: bool
    fitted_memories: MemoryRange | None = None
    synthesised: Mapping[str, SynthesisProvenance] = field(default_factory=dict)

    def has_rows(self, components: frozenset[str], variant: str) -> bool:
        """Whether it has any row of a variant among some components."""
        return any(row.variant == variant and row.component in components for row in self.rows.values())

    def row(self, component: str, variant: str, action: str) -> PriceRow | None:
        """One row, or None."""
        return self.rows.get(f"{component}/{variant}/{action}")
