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
from simulator.numerics.accumulators import AnyAccumulatorSection, FixedAccumulatorConfig
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


class MacConfig(_Section):
    """A multiply-accumulate unit as an architecture file writes it."""

    activation: str = Field(description="Number format of activations.")
    weight: str = Field(description="Number format of weights.")
    product: ProductRule | None = Field(
        None,
        description="`exact`, `log` or `fused`; left out: what accumulator and formats suggest.",
    )
    accumulator: Annotated[AnyAccumulatorSection, Field(discriminator="kind")] = Field(
        FixedAccumulatorConfig(),
        description="`kind: fixed` with bits, lsb, overflow; `kind: float` or `truncated` with format.",
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
    activation = located_format(config.activation, source, "activation")
    weight = located_format(config.weight, source, "weight")
    product = config.product or config.accumulator.usual_product(activation, weight)
    pair = OperandPair(activation, weight, product)
    return MacSpec(
        name=name or pair.specs,
        activation=activation.spec,
        weight=weight.spec,
        product=product,
        accumulator=config.accumulator.build(pair, config.reduction_length, source),
        output=config.output,
        reduction_length=config.reduction_length,
        pipeline_depth=config.pipeline_depth,
        accumulation_interval=config.accumulation_interval,
        max_clock_mhz=config.max_clock_mhz,
        price=_price(config.price),
        description=config.description,
        source=config.source,
    )


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
