"""A multiply-accumulate unit: its data by name, and what one of its steps does, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.foundation import UserError
from simulator.numerics import output_rules as outputs
from simulator.numerics.accumulators import Accumulator, StepFlags
from simulator.numerics.array_types import Accumulators, Codes, Integers, Reals
from simulator.numerics.block_scaled import BlockFormat
from simulator.numerics.formats import Format, as_codes, get_format
from simulator.numerics.mac_config import mapping_spec, named_spec
from simulator.numerics.mac_spec import MacSpec
from simulator.numerics.product_rules import OperandPair, Products

TABLE_OPERAND_BITS = 16
"""`product_table` is offered for operands of this many bits together."""


def get_mac(
    choice: str | Mapping[str, Any] | MacSpec | Mac,
    *,
    custom: Mapping[str, Mapping[str, Any]] | None = None,
) -> Mac:
    """The multiply-accumulate unit that `choice` describes.

    Args:
        choice: a preset's name (`elma8`), two formats as activation x weight (`e4m3 x e4m3`: exact
            products into a fixed accumulator derived so that no sum of 4608 products overflows), a
            mapping as in an architecture file (docs/macs.md), or a `MacSpec`.
        custom: mappings by name, which come before the presets (an architecture file's `macs`).

    Raises:
        UserError: an unknown name (the nearest is suggested), unknown formats, or an accumulator that
            cannot be.
    """
    if isinstance(choice, Mac):
        return choice
    if isinstance(choice, str):
        choice = named_spec(choice, custom or {})
    elif isinstance(choice, Mapping):
        choice = mapping_spec(choice)
    elif not isinstance(choice, MacSpec):
        raise UserError("a MAC is a name, a spec string, a mapping or a MacSpec", value=choice)
    return _mac(choice)


@lru_cache(maxsize=256)
def _mac(spec: MacSpec) -> Mac:
    return Mac(spec)


@dataclass(frozen=True)
class Mac:
    """A MAC unit: a `MacSpec`, with its formats and accumulator at hand. Every method is exact to the bit.

    Operands are unsigned code arrays of `activation` and `weight` (int8 arrays also do for 8-bit integers).
    Infinity and NaN operands of a fixed accumulator add 0 and raise a sticky flag beside it, which `multiply`
    returns and `to_output` takes; float accumulators carry them in their codes. Matrix products are a
    function above: `simulator.numerics.multiply`.
    """

    spec: MacSpec

    def __post_init__(self) -> None:
        """Refuse units that cannot be. Raises UserError."""
        source = f"MAC {self.name!r}"
        self.accumulator.check(self.pair, source)
        outputs.check_output(self, self.spec.output, source)

    @property
    def name(self) -> str:
        """The preset's name, or the two formats."""
        return self.spec.name

    @cached_property
    def activation(self) -> Format:
        """Format of activations."""
        return get_format(self.spec.activation)

    @cached_property
    def weight(self) -> Format:
        """Format of weights."""
        return get_format(self.spec.weight)

    @cached_property
    def pair(self) -> OperandPair:
        """Both formats and the product rule, as accumulators take them."""
        return OperandPair(self.activation, self.weight, self.spec.product, self.spec.blocks)

    @cached_property
    def block_formats(self) -> tuple[BlockFormat, BlockFormat] | None:
        """The block-scaled formats of activations and weights; None where codes have no block scales."""
        blocks = self.spec.blocks
        if blocks is None:
            return None
        return blocks.format_of(self.spec.activation), blocks.format_of(self.spec.weight)

    @property
    def stored_bits(self) -> tuple[int | Fraction, int | Fraction]:
        """Bits of a stored activation and weight, each with its share of a block's scale."""
        bits = (self.activation.bits, self.weight.bits)
        if self.block_formats is None:
            return bits
        shares = (Fraction(fmt.scale_format.bits, fmt.block) for fmt in self.block_formats)
        activation, weight = (width + share for width, share in zip(bits, shares, strict=True))
        return activation, weight

    def require_no_blocks(self, what: str) -> None:
        """Refuse what does not know block scales, in words. Raises UserError if the MAC has them."""
        if self.spec.blocks is not None:
            raise UserError(
                f"{what} does not know block scales",
                source=f"MAC {self.name!r}",
                allowed="a MAC without block scales",
            )

    @property
    def accumulator(self) -> Accumulator:
        """The accumulator, which answers for its register and its steps."""
        return self.spec.accumulator

    @property
    def accumulator_format(self) -> Format:
        """The float accumulator's format. Raises UserError for fixed accumulators."""
        fmt = self.accumulator.number_format
        if fmt is None:
            raise UserError(
                f"MAC {self.name!r} has a {self.accumulator.kind} accumulator, which has no number format"
            )
        return fmt

    @property
    def accumulator_bits(self) -> int:
        """Width of the accumulator register."""
        return self.accumulator.width

    @property
    def accumulator_lsb(self) -> int:
        """log2 of the weight of the lowest bit; for float accumulators of their smallest subnormal number."""
        return self.accumulator.lowest_exponent

    @property
    def accumulator_dtype(self) -> np.dtype[Any]:
        """int64; object above 64 bits; the code dtype of float accumulators."""
        return self.accumulator.dtype

    @property
    def product_bits(self) -> int:
        """Fewest bits in two's complement of every increment, at most the accumulator's; 0 if fused."""
        return self.accumulator.product_bits(self.pair)

    @property
    def products(self) -> Products:
        """The rule that makes increments of pairs of codes. Raises UserError for fused products."""
        return self.accumulator.products(self.pair)

    def product(self, a_codes: npt.ArrayLike, w_codes: npt.ArrayLike) -> Integers:
        """What one pair of codes adds to an empty accumulator; elementwise, broadcasting.

        int64 in units of 2**accumulator_lsb, cut to the accumulator's bits as the hardware keeps them
        (object dtype above 64 bits). Infinity and NaN add 0. For float accumulators: the accumulator's
        code, as int64, after this one product from zero.

        Raises:
            UserError: codes outside their formats.
        """
        return self.accumulator.product(self.pair, *self._codes(a_codes, w_codes))

    def accumulate(
        self, accumulators: npt.ArrayLike, a_codes: npt.ArrayLike, w_codes: npt.ArrayLike
    ) -> Accumulators:
        """One MAC step, elementwise and broadcasting: what the register holds after one more product.

        Raises:
            UserError: codes outside their formats.
        """
        return self.accumulator.step(self.pair, np.asarray(accumulators), *self._codes(a_codes, w_codes))

    def step_flags(
        self, accumulators: npt.ArrayLike, a_codes: npt.ArrayLike, w_codes: npt.ArrayLike
    ) -> StepFlags:
        """What the same step raises beside the register. Raises UserError for codes outside their formats."""
        return self.accumulator.flags(self.pair, np.asarray(accumulators), *self._codes(a_codes, w_codes))

    def overflow_sign(
        self, accumulators: npt.ArrayLike, a_codes: npt.ArrayLike, w_codes: npt.ArrayLike
    ) -> npt.NDArray[np.int8]:
        """Where one MAC step overflows a fixed accumulator: +1 or -1 by direction, else 0.

        Both the product alone and the sum can overflow; a sticky accumulator keeps the first sign that is
        not 0.

        Raises:
            UserError: codes outside their formats, or a float accumulator.
        """
        sums = np.asarray(accumulators)
        return self.accumulator.overflow_sign(self.pair, sums, *self._codes(a_codes, w_codes))

    def _codes(self, a_codes: npt.ArrayLike, w_codes: npt.ArrayLike) -> tuple[Codes, Codes]:
        return as_codes(self.activation, a_codes), as_codes(self.weight, w_codes)

    @cached_property
    def _product_table(self) -> npt.NDArray[np.int64]:
        a = as_codes(self.activation, np.arange(1 << self.activation.bits)[:, None])
        w = as_codes(self.weight, np.arange(1 << self.weight.bits)[None, :])
        table = np.ascontiguousarray(self.products.increments(a, w), np.int64)
        table.setflags(write=False)
        return table

    def product_table(self) -> npt.NDArray[np.int64]:
        """The increments of all pairs of codes, int64[2**activation bits, 2**weight bits], read-only.

        For compiled kernels: a sum of entries modulo 2**64, wrapped to `accumulator_bits` at the end, is the
        accumulator. Entries of a sticky accumulator may lie outside of it.

        Raises:
            UserError: a float accumulator, one of more than 64 bits, or operands of more than 16 bits
                together.
        """
        if not self.has_product_table:
            raise UserError(
                f"MAC {self.name!r} has no table of products",
                allowed=f"fixed accumulators up to 64 bits, operands of {TABLE_OPERAND_BITS} bits together",
            )
        return self._product_table

    @cached_property
    def has_product_table(self) -> bool:
        """Whether `product_table` is offered."""
        if not self.product_bits or self.activation.bits + self.weight.bits > TABLE_OPERAND_BITS:
            return False
        return self.accumulator_bits <= 64 and max(map(abs, self.products.limits)) < 1 << 63

    def to_real(self, accumulators: npt.ArrayLike) -> Reals:
        """The values of accumulators; exact up to 53 significant bits, else the nearest float64."""
        return self.accumulator.decode(np.asarray(accumulators))

    def to_output(
        self,
        accumulators: npt.ArrayLike,
        fmt: str | Format | None = None,
        *,
        is_infinite: npt.ArrayLike | None = None,
        overflow: npt.ArrayLike | None = None,
    ) -> Codes:
        """Codes of accumulators in `fmt`, by default the activation format.

        Into the activation format `elma8`, `elma16` and `posit8` use the published circuits' converters,
        which round three times. Everything else takes the real value and rounds it once as `fmt.encode`
        does: `int8` saturates to -128 .. 127 without a scale.

        Args:
            accumulators: what `multiply` gives.
            fmt: the format of the result.
            is_infinite: sticky infinity flags; these elements become the code of infinity (or saturate).
            overflow: sticky overflow signs of `posit8`; these elements become the largest values.

        Raises:
            UserError: an unknown format.
        """
        target = self.activation if fmt is None else get_format(fmt)
        sums = outputs.Sums(accumulators, is_infinite, overflow)
        return outputs.to_codes(self, self.spec.output, sums, target)

    def __repr__(self) -> str:
        return f"<Mac {self.name}: {self.pair.specs}, {self.spec.product}, {self.accumulator}>"
