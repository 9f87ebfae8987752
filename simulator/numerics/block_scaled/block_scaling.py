"""The block scaling of a MAC's operands: what both share, whatever their element formats."""

from __future__ import annotations

from dataclasses import dataclass, fields

from simulator.numerics.block_scaled.block_format import BlockFormat, ScaleRule


@dataclass(frozen=True, slots=True)
class BlockScaling:
    """Scale format, block length and scale rule of both operands; see `BlockFormat`."""

    scale: str = "e8m0"
    block: int = 32
    rule: ScaleRule = "floor"
    tensor_scale: bool = False
    full_range: bool = False

    @classmethod
    def of(cls, fmt: BlockFormat) -> BlockScaling:
        """That of a block-scaled format."""
        return cls(**{field.name: getattr(fmt, field.name) for field in fields(cls)})

    def format_of(self, element: str) -> BlockFormat:
        """Elements of a format, scaled like this. Raises UserError: they do not go together."""
        return BlockFormat(
            f"{element} with {self.scale} scales over {self.block}",
            element,
            self.scale,
            self.block,
            self.rule,
            self.tensor_scale,
            self.full_range,
        )
