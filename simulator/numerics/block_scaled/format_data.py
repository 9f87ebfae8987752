"""Block-scaled formats by name: the bundled ones, and your own as mappings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from simulator.foundation import UserError
from simulator.foundation.documents import load_yaml, validate
from simulator.numerics.block_scaled.block_format import BlockFormat, ScaleRule
from simulator.numerics.block_scaled.scale_format import POWER_OF_TWO, get_scale_format

_BUNDLED: Final = Path(__file__).parents[1] / "presets" / "block_formats.yaml"


class BlockFormatConfig(BaseModel):
    """A block-scaled format as a file writes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    element: str = Field(description="Number format of elements, signed, up to 8 bits: `e4m3fn`, `int4`.")
    scale: str = Field(POWER_OF_TWO, description="`e8m0`, or a float with NaN: `e4m3fn`, `fp16`, `bf16`.")
    block: int = Field(32, ge=1, le=1 << 16, description="Consecutive elements that share a scale.")
    rule: ScaleRule | None = Field(
        None,
        description="`floor` (default), `ceil`, `even`, `rceil` for `e8m0`; `nearest` for float scales.",
    )
    tensor_scale: bool = Field(default=False, description="A float32 scale for the whole tensor as well.")
    full_range: bool = Field(
        default=False, description="Two's complement elements use their lowest code (-128 of 8 bits)."
    )
    description: str = Field("", description="What it is, in a sentence.")
    source: str = Field("", description="Where it was published.")


def block_format_names() -> tuple[str, ...]:
    """Names of the bundled block-scaled formats."""
    return tuple(_bundled())


def get_block_format(choice: str | Mapping[str, Any] | BlockFormat, *, name: str = "own") -> BlockFormat:
    """The block-scaled format of a name, or of a mapping as in a file (docs/block_scaled.md).

    Raises:
        UserError: an unknown name (the nearest is suggested), unknown fields, or formats that do not fit.
    """
    if isinstance(choice, BlockFormat):
        return choice
    if isinstance(choice, str):
        bundled = _bundled()
        if choice not in bundled:
            raise UserError(
                "unknown block-scaled format",
                value=choice,
                allowed=", ".join(bundled),
                candidates=list(bundled),
            )
        return _built(choice, bundled[choice])
    return _built(name, choice)


def _built(name: str, document: Mapping[str, Any]) -> BlockFormat:
    source = f"block-scaled format {name!r}"
    config = validate(BlockFormatConfig, dict(document), source=source)
    try:
        usual: ScaleRule = "floor" if get_scale_format(config.scale).spec == POWER_OF_TWO else "nearest"
    except UserError as error:
        error.name_source(source)
        raise
    return BlockFormat(
        name=name,
        element=config.element,
        scale=config.scale,
        block=config.block,
        rule=config.rule or usual,
        tensor_scale=config.tensor_scale,
        full_range=config.full_range,
    )


@lru_cache(maxsize=1)
def _bundled() -> dict[str, dict[str, Any]]:
    document: dict[str, dict[str, Any]] = load_yaml(_BUNDLED)
    return document
