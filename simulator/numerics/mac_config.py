"""MACs written down: YAML mappings, the bundled presets, and spec strings such as `e4m3 x e4m3`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from simulator.foundation import UserError
from simulator.foundation.documents import load_yaml, validate
from simulator.numerics.accumulators import (
    AnyAccumulatorSection,
    BlockAccumulatorConfig,
    FixedAccumulatorConfig,
)
from simulator.numerics.accumulators.section import AccumulatorSection
from simulator.numerics.block_scaled import ScaleRule, block_format_names, get_block_format
from simulator.numerics.block_scaled.block_scaling import BlockScaling
from simulator.numerics.block_scaled.scale_format import POWER_OF_TWO, get_scale_format
from simulator.numerics.formats import located_format
from simulator.numerics.mac_spec import DEFAULT_REDUCTION_LENGTH, MacPrice, MacSpec, OutputRule
from simulator.numerics.product_rules import OperandPair, ProductRule

_PRESETS: Final = Path(__file__).parent / "presets" / "macs.yaml"
_PAIR: Final = re.compile(r"\s*(?P<activation>\S+)\s+[xX×]\s+(?P<weight>\S+)\s*")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MacPriceConfig(_Section):
    """Where energy and area of a MAC come from, each a variant of the price tables or `composed`."""

    energy: str | None = Field(None, min_length=1, description="Variant or `composed`.")
    area: str | None = Field(None, min_length=1, description="Variant or `composed`.")


class BlockScalingConfig(_Section):
    """Block scales of both operands of a MAC, whose formats are then those of elements."""

    scale: str = Field(POWER_OF_TWO, description="`e8m0`, or a float with NaN: `e4m3fn`, `fp16`, `bf16`.")
    block: int = Field(32, ge=1, le=1 << 16, description="Elements along input channels that share a scale.")
    rule: ScaleRule | None = Field(
        None,
        description="`floor` (default), `ceil`, `even`, `rceil` for `e8m0`; `nearest` for float scales.",
    )
    tensor_scale: bool = Field(default=False, description="A float32 scale for each tensor as well.")
    full_range: bool = Field(
        default=False, description="Two's complement elements use their lowest code (-128 of 8 bits)."
    )

    def build(self) -> BlockScaling:
        """The scaling, its rule the usual one where it is left out. Raises UserError: unknown formats."""
        usual: ScaleRule = "floor" if get_scale_format(self.scale).spec == POWER_OF_TWO else "nearest"
        return BlockScaling(self.scale, self.block, self.rule or usual, self.tensor_scale, self.full_range)


class MacConfig(_Section):
    """A multiply-accumulate unit as an architecture file writes it."""

    activation: str = Field(description="Number format of activations, or a block-scaled one (`mxfp4`).")
    weight: str = Field(description="Number format of weights, or a block-scaled one.")
    blocks: BlockScalingConfig | None = Field(
        None, description="Block scales of both operands, whose formats are those of elements."
    )
    product: ProductRule | None = Field(
        None,
        description="`exact`, `log` or `fused`; left out: what accumulator and formats suggest.",
    )
    accumulator: Annotated[AnyAccumulatorSection, Field(discriminator="kind")] = Field(
        FixedAccumulatorConfig(),
        description="`kind: fixed` with bits, lsb, overflow; `kind: float` or `truncated` with format; "
        "`kind: blocks` with sum.",
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
    if choice in block_format_names():
        raise UserError(
            "is a block-scaled format, and a MAC multiplies two",
            location="MAC",
            value=choice,
            allowed=f"'{choice} x {choice}'",
        )
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
    elements, blocks = _elements(config, source)
    activation = located_format(elements[0], source, "activation")
    weight = located_format(elements[1], source, "weight")
    if blocks is not None:
        _require_scalable(blocks, dict(zip(("activation", "weight"), elements, strict=True)), source)
    accumulator = _accumulator(config, blocks, source)
    product = config.product or accumulator.usual_product(activation, weight)
    pair = OperandPair(activation, weight, product, blocks)
    return MacSpec(
        name=name or f"{config.activation} x {config.weight}" if blocks else name or pair.specs,
        activation=activation.spec,
        weight=weight.spec,
        product=product,
        accumulator=accumulator.build(pair, config.reduction_length, source),
        output=config.output,
        reduction_length=config.reduction_length,
        pipeline_depth=config.pipeline_depth,
        accumulation_interval=config.accumulation_interval,
        max_clock_mhz=config.max_clock_mhz,
        price=_price(config.price),
        blocks=blocks,
        description=config.description,
        source=config.source,
    )


def _elements(config: MacConfig, source: str) -> tuple[tuple[str, str], BlockScaling | None]:
    """The specs of both operands' elements, and their block scales: those of `blocks`, or of the formats."""
    specs = (config.activation, config.weight)
    known = set(block_format_names())
    if known.isdisjoint(specs):
        return specs, None if config.blocks is None else _block_scaling(config.blocks, source)
    if config.blocks is not None or not known.issuperset(specs):
        raise UserError(
            "names block-scaled formats, which bring their scales, beside something else",
            source=source,
            location="activation",
            value=f"{specs[0]} x {specs[1]}",
            allowed="two block-scaled formats without `blocks`, or formats of elements with `blocks`",
        )
    formats = [get_block_format(spec) for spec in specs]
    scalings = [BlockScaling.of(fmt) for fmt in formats]
    if scalings[0] != scalings[1]:
        raise UserError(
            "is scaled otherwise than activations are",
            source=source,
            location="weight",
            value=config.weight,
            allowed=f"a format with {scalings[0].scale} scales over {scalings[0].block}",
        )
    return (formats[0].element, formats[1].element), scalings[0]


def _block_scaling(config: BlockScalingConfig, source: str) -> BlockScaling:
    """The section `blocks`; its errors name the MAC and the field."""
    try:
        return config.build()
    except UserError as error:
        error.location = f"blocks.{error.location}"
        error.name_source(source)
        raise


def _require_scalable(blocks: BlockScaling, elements: Mapping[str, str], source: str) -> None:
    """Refuse elements and scales that do not go together; errors name the MAC and the field it is about."""
    for operand, element in elements.items():
        try:
            blocks.format_of(element)
        except UserError as error:
            error.location = operand if error.location == "element" else f"blocks.{error.location}"
            error.name_source(source)
            raise


def _accumulator(config: MacConfig, blocks: BlockScaling | None, source: str) -> AccumulatorSection:
    """The accumulator's section; blocks have one of their own kind, also where it is left out."""
    section = config.accumulator
    if blocks is None:
        return section
    if "accumulator" not in config.model_fields_set:
        return BlockAccumulatorConfig()
    found = section.beside_blocks()
    if found is None:
        raise UserError(
            "does not go with block scales",
            source=source,
            location="accumulator.kind",
            value=section.kind,
            allowed="blocks",
        )
    return found


def read_spec(document: Mapping[str, Any]) -> MacSpec:
    """The MAC that `MacSpec.document` wrote.

    Accumulators without a kind are those of earlier versions, where only a float one had a format.

    Raises:
        UserError: as `mapping_spec`.
    """
    fields = dict(document)
    section = fields.get("accumulator")
    if isinstance(section, dict):
        fields["accumulator"] = {"kind": "float" if "format" in section else "fixed", **section}
    name = fields.pop("name", "")
    if not isinstance(name, str):
        raise UserError("must be text", location="name", value=name)
    return mapping_spec(fields, name=name)


def _price(price: str | MacPriceConfig | None) -> MacPrice:
    if isinstance(price, MacPriceConfig):
        return MacPrice(price.energy, price.area)
    return MacPrice(price, price)


__all__ = [
    "MacConfig",
    "mapping_spec",
    "named_spec",
    "preset_names",
    "preset_spec",
    "read_spec",
]
