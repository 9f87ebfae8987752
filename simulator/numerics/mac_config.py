"""MACs written down: YAML mappings, the bundled presets, and spec strings such as `e4m3 x e4m3`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from math import ceil, log2
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from simulator.foundation import UserError
from simulator.foundation.documents import load_yaml, validate
from simulator.numerics.formats import Format, get_format
from simulator.numerics.formats.log import LogBase
from simulator.numerics.formats.minifloat import Minifloat
from simulator.numerics.mac_spec import (
    DEFAULT_REDUCTION_LENGTH,
    Accumulator,
    FixedAccumulator,
    FloatAccumulator,
    MacPrice,
    MacSpec,
    OutputRule,
    OverflowRule,
    ProductRule,
)
from simulator.numerics.outputs import can_be_fused
from simulator.numerics.products import ExactProducts

MAX_ACCUMULATOR_BITS: Final = 128
_PRESETS: Final = Path(__file__).parent / "presets" / "macs.yaml"
_PAIR: Final = re.compile(r"\s*(?P<activation>\S+)\s+[xX×]\s+(?P<weight>\S+)\s*")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FixedAccumulatorConfig(_Section):
    """A two's complement accumulator; what is left out is derived so that nothing overflows or is lost."""

    kind: Literal["fixed"] = Field("fixed", description="A two's complement integer.")
    bits: int | None = Field(None, ge=2, le=MAX_ACCUMULATOR_BITS, description="Width, sign included.")
    lsb: int | None = Field(None, ge=-1022, le=1022, description="log2 of the weight of the lowest bit.")
    overflow: OverflowRule = Field(
        "wrap",
        description="Past either end: `wrap`, `saturate`, or `sticky` (wrap, remembered for the output).",
    )


class FloatAccumulatorConfig(_Section):
    """A float accumulator, rounded to nearest even at every step."""

    kind: Literal["float"] = Field(description="A float that every step rounds into.")
    format: str = Field(description="A minifloat or standard float, such as `fp16`.")
    flush_subnormals: bool = Field(
        default=False, description="Operands and results below the smallest normal number become zero."
    )


class MacPriceConfig(_Section):
    """Where energy and area of a MAC come from, each a variant of the price tables or `composed`."""

    energy: str | None = Field(None, min_length=1, description="Variant or `composed`.")
    area: str | None = Field(None, min_length=1, description="Variant or `composed`.")


class MacConfig(_Section):
    """A multiply-accumulate unit as an architecture file writes it."""

    activation: str = Field(description="Number format of activations.")
    weight: str = Field(description="Number format of weights.")
    product: ProductRule | None = Field(
        None,
        description="`exact`, `log` or `fused`; left out: what accumulator and formats suggest.",
    )
    accumulator: Annotated[FixedAccumulatorConfig | FloatAccumulatorConfig, Field(discriminator="kind")] = (
        Field(
            FixedAccumulatorConfig(),
            description="`kind: fixed` with bits, lsb, overflow, or `kind: float` with format.",
        )
    )
    output: OutputRule = Field(
        "nearest",
        description="How sums become codes: `nearest`, or the published converters `log` and `posit`.",
    )
    reduction_length: int = Field(
        DEFAULT_REDUCTION_LENGTH, ge=1, le=1 << 40, description="Products that a derived accumulator holds."
    )
    pipeline_depth: int = Field(1, ge=1, le=64, description="Cycles from operands to their sum.")
    accumulation_interval: int = Field(1, ge=1, le=64, description="Cycles before the same PE can add again.")
    max_clock_mhz: float | None = Field(
        None, gt=0, le=100_000, description="Clock up to which the MAC meets timing, whatever prices it."
    )
    price: Annotated[str, Field(min_length=1)] | MacPriceConfig | None = Field(
        None,
        description="Variant of the price tables, or `composed`, for energy and area together or apart "
        "(`{energy: mine, area: composed}`); left out: the rows of its own name, else published ones.",
    )
    description: str = Field("", description="What it is, in a sentence.")
    source: str = Field("", description="Where it was published.")


def preset_names() -> tuple[str, ...]:
    """Names of the bundled MACs, in the order of their file."""
    return tuple(_presets())


@lru_cache(maxsize=1)
def _presets() -> dict[str, dict[str, Any]]:
    document: dict[str, dict[str, Any]] = load_yaml(_PRESETS)
    return document


def preset_spec(name: str) -> MacSpec:
    """The bundled MAC `name`. Raises UserError for an unknown one, suggesting the nearest."""
    return named_spec(name, {})


def named_spec(choice: str, custom: Mapping[str, Mapping[str, Any]]) -> MacSpec:
    """The MAC that a name (own ones come before presets) or a spec string `activation x weight` means.

    An own mapping with a preset's name and without formats lies over the preset.

    Raises:
        UserError: neither; the nearest name is suggested.
    """
    if choice in custom:
        return mapping_spec(_over_preset(choice, custom[choice]), name=choice)
    if choice in _presets():
        return mapping_spec(_presets()[choice], name=choice)
    if pair := _PAIR.fullmatch(choice):
        return mapping_spec(pair.groupdict(), name="")
    raise UserError(
        "unknown MAC",
        value=choice,
        allowed=f"{', '.join([*custom, *_presets()])}, or two formats such as 'e4m3 x e4m3'",
        candidates=[*custom, *_presets()],
    )


def _over_preset(name: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A mapping without formats that has a preset's name changes single fields of that preset."""
    if name not in _presets() or not {"activation", "weight"}.isdisjoint(document):
        return document
    return {**_presets()[name], **document}


def mapping_spec(document: Mapping[str, Any], *, name: str = "") -> MacSpec:
    """The MAC that a mapping describes, widths derived where they are left out.

    Raises:
        UserError: unknown or missing fields, unknown formats, an accumulator that cannot be.
    """
    source = f"MAC {name!r}" if name else "MAC"
    config = validate(MacConfig, dict(document), source=source)
    activation = _format(config.activation, source, "activation")
    weight = _format(config.weight, source, "weight")
    product = config.product or _usual_product(config, activation, weight)
    return MacSpec(
        name=name or f"{activation.spec} x {weight.spec}",
        activation=activation.spec,
        weight=weight.spec,
        product=product,
        accumulator=_accumulator(config, activation, weight, product, source),
        output=config.output,
        reduction_length=config.reduction_length,
        pipeline_depth=config.pipeline_depth,
        accumulation_interval=config.accumulation_interval,
        max_clock_mhz=config.max_clock_mhz,
        price=_price(config.price),
        description=config.description,
        source=config.source,
    )


def _price(price: str | MacPriceConfig | None) -> MacPrice:
    if isinstance(price, MacPriceConfig):
        return MacPrice(price.energy, price.area)
    return MacPrice(price, price)


def _format(spec: str, source: str, location: str) -> Format:
    try:
        return get_format(spec)
    except UserError as error:
        raise UserError(str(error), source=source, location=location) from error


def _usual_product(config: MacConfig, activation: Format, weight: Format) -> ProductRule:
    if isinstance(config.accumulator, FloatAccumulatorConfig):
        return "fused"
    return "log" if isinstance(activation, LogBase) and isinstance(weight, LogBase) else "exact"


def _accumulator(
    config: MacConfig, activation: Format, weight: Format, product: ProductRule, source: str
) -> Accumulator:
    accumulator = config.accumulator
    if isinstance(accumulator, FloatAccumulatorConfig):
        fmt = _format(accumulator.format, source, "accumulator.format")
        return FloatAccumulator(fmt.spec, accumulator.flush_subnormals)
    if product == "log" and isinstance(activation, LogBase):
        bits, lsb = activation.accumulator_bits, activation.accumulator_lsb
        return FixedAccumulator(
            bits if accumulator.bits is None else accumulator.bits,
            lsb if accumulator.lsb is None else accumulator.lsb,
            accumulator.overflow,
        )
    lsb = activation.lsb + weight.lsb if accumulator.lsb is None else accumulator.lsb
    if accumulator.bits is not None:
        return FixedAccumulator(accumulator.bits, lsb, accumulator.overflow)
    needed = derived_width(activation, weight, lsb, config.reduction_length)
    if needed > MAX_ACCUMULATOR_BITS:
        raise UserError(
            f"exact sums of {activation.spec} x {weight.spec} need an accumulator of {needed} bits",
            source=source,
            location="accumulator",
            allowed=f"up to {MAX_ACCUMULATOR_BITS} bits"
            + (", or `kind: float`" if can_be_fused(activation, weight) else ""),
        )
    return FixedAccumulator(needed, lsb, accumulator.overflow)


def derived_width(activation: Format, weight: Format, lsb: int, reduction_length: int) -> int:
    """Accumulator bits, sign included, with which no sum of `reduction_length` products can overflow.

    For minifloats Aggarwal et al.'s formula (arXiv 2311.12359), 2**Ea + Ma + 2**Eb + Mb + ceil(log2 n) -
    1, unless the lowest bit is chosen elsewhere; otherwise the fewest bits that hold the worst sum.
    """
    low, high = ExactProducts(activation, weight, lsb).limits
    worst = max(-low * reduction_length, high * reduction_length + 1, 1)
    needed = (worst - 1).bit_length() + 1
    if not (_is_plain_minifloat(activation) and _is_plain_minifloat(weight)):
        return needed
    published = (
        _range_bits(activation) + _range_bits(weight) + ceil(log2(reduction_length)) - 1
        if lsb == activation.lsb + weight.lsb
        else 0
    )
    return max(needed, published)


def _is_plain_minifloat(fmt: Format) -> bool:
    return type(fmt) is Minifloat


def _range_bits(fmt: Format) -> int:
    """2**E + M of a minifloat."""
    return int(2**fmt.exponent_bits) + fmt.significand_bits - 1


__all__ = [
    "MAX_ACCUMULATOR_BITS",
    "FixedAccumulatorConfig",
    "FloatAccumulatorConfig",
    "MacConfig",
    "derived_width",
    "mapping_spec",
    "named_spec",
    "preset_names",
    "preset_spec",
]
