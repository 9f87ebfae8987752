"""A multiply-accumulate unit in action: products, sums, matrix products and output codes, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from simulator.foundation import UserError
from simulator.numerics import accumulators as steps
from simulator.numerics import outputs
from simulator.numerics.accumulators import FloatRounding
from simulator.numerics.formats import Format, as_codes, get_format
from simulator.numerics.formats.log import LogBase
from simulator.numerics.mac_config import MAX_ACCUMULATOR_BITS, mapping_spec, named_spec
from simulator.numerics.mac_spec import FixedAccumulator, FloatAccumulator, MacSpec
from simulator.numerics.products import ExactProducts, LogProducts, Products

if TYPE_CHECKING:
    from simulator.numerics.engines.planner import EngineName, MatmulResult

Codes = npt.NDArray[np.unsignedinteger[Any]]
Accumulators = npt.NDArray[Any]
"""Fixed accumulators of up to 64 bits: int64 in units of 2**accumulator_lsb; wider ones: dtype object, Python
integers. Float accumulators: codes of their format."""

_LEAST_LSB = -1022
_GREATEST_LSB = 1024
_INTEGER_RANGE = 1023

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
    """A MAC unit. Every method is exact to the bit, and results do not depend on threads or on the engine.

    Operands are unsigned code arrays of `activation` and `weight` (int8 arrays also do for 8-bit integers).
    Infinity and NaN operands of a fixed accumulator add 0 and raise a sticky flag beside it, which
    `multiply` returns and `to_output` takes; float accumulators carry them in their codes.
    """

    spec: MacSpec

    def __post_init__(self) -> None:
        """Refuse units that cannot be. Raises UserError."""
        _check(self)

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

    @property
    def accumulator(self) -> FixedAccumulator | FloatAccumulator:
        """The accumulator, as data."""
        return self.spec.accumulator

    @property
    def is_fixed(self) -> bool:
        """Whether sums are integers (True) or floats that every step rounds (False)."""
        return isinstance(self.spec.accumulator, FixedAccumulator)

    @property
    def depends_on_order(self) -> bool:
        """Whether the order of a sum can change its bits: it cannot for accumulators that wrap."""
        return not (isinstance(self.accumulator, FixedAccumulator) and self.accumulator.overflow == "wrap")

    @cached_property
    def accumulator_format(self) -> Format:
        """The float accumulator's format. Raises UserError for fixed accumulators."""
        if isinstance(self.accumulator, FixedAccumulator):
            raise UserError(f"MAC {self.name!r} has a fixed accumulator, which has no number format")
        return get_format(self.accumulator.format)

    @property
    def accumulator_bits(self) -> int:
        """Width of the accumulator register."""
        fixed = self.accumulator
        return fixed.bits if isinstance(fixed, FixedAccumulator) else self.accumulator_format.bits

    @property
    def accumulator_lsb(self) -> int:
        """log2 of the weight of the lowest bit; for float accumulators of their smallest subnormal number."""
        fixed = self.accumulator
        return fixed.lsb if isinstance(fixed, FixedAccumulator) else self.accumulator_format.lsb

    @property
    def accumulator_dtype(self) -> np.dtype[Any]:
        """int64; object above 64 bits; the code dtype of float accumulators."""
        if not self.is_fixed:
            return self.accumulator_format.code_dtype
        return np.dtype(np.int64 if self.accumulator_bits <= 64 else object)

    @cached_property
    def products(self) -> Products:
        """The product rule of a fixed accumulator. Raises UserError for float accumulators."""
        fixed = self.accumulator
        if not isinstance(fixed, FixedAccumulator):
            raise UserError(f"MAC {self.name!r} fuses its products into a float accumulator")
        if self.spec.product == "log":
            assert isinstance(self.activation, LogBase)
            assert isinstance(self.weight, LogBase)
            return LogProducts(self.activation, self.weight, fixed)
        return ExactProducts(self.activation, self.weight, fixed.lsb)

    @cached_property
    def rounding(self) -> FloatRounding:
        """How the float accumulator rounds. Raises UserError for fixed accumulators."""
        assert isinstance(self.accumulator, FloatAccumulator) or self.accumulator_format
        return FloatRounding.of(self.accumulator_format, self.accumulator)  # type: ignore[arg-type]

    def product(self, a_codes: npt.ArrayLike, w_codes: npt.ArrayLike) -> npt.NDArray[Any]:
        """What one pair of codes adds to an empty accumulator; elementwise, broadcasting.

        int64 in units of 2**accumulator_lsb, cut to the accumulator's bits as the hardware keeps them
        (object dtype above 64 bits). Infinity and NaN add 0. For float accumulators: the accumulator's
        code, as int64, after this one product from zero.

        Raises:
            UserError: codes outside their formats.
        """
        if not self.is_fixed:
            zero = np.zeros((), self.accumulator_dtype)
            return self.accumulate(zero, a_codes, w_codes).astype(np.int64)
        return steps.wrap(self._increments(a_codes, w_codes), self.accumulator_bits)

    def accumulate(
        self, accumulators: npt.ArrayLike, a_codes: npt.ArrayLike, w_codes: npt.ArrayLike
    ) -> Accumulators:
        """One MAC step, elementwise and broadcasting: what the register holds after one more product.

        Raises:
            UserError: codes outside their formats.
        """
        fixed = self.accumulator
        if isinstance(fixed, FixedAccumulator):
            sums = np.asarray(accumulators, self.accumulator_dtype)
            sums = steps.add(fixed, sums, self._increments(a_codes, w_codes))
            return np.asarray(sums, self.accumulator_dtype)
        rounding, fmt = self.rounding, self.accumulator_format
        sums = rounding.flush(fmt.decode(accumulators), fmt.smallest_normal)
        a = rounding.flush(self.activation.decode(a_codes), self.activation.smallest_normal)
        w = rounding.flush(self.weight.decode(w_codes), self.weight.smallest_normal)
        with np.errstate(invalid="ignore"):
            products = np.asarray(a * w)
        return fmt.encode(rounding.step(sums, products))

    def is_infinite_product(self, a_codes: npt.ArrayLike, w_codes: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Where a product's operands raise the sticky infinity flag: either one infinite or NaN."""
        return np.logical_or(
            ~np.isfinite(self.activation.decode(a_codes)), ~np.isfinite(self.weight.decode(w_codes))
        )

    def overflow_sign(
        self, accumulators: npt.ArrayLike, a_codes: npt.ArrayLike, w_codes: npt.ArrayLike
    ) -> npt.NDArray[np.int8]:
        """Where one MAC step overflows a fixed accumulator: +1 or -1 by direction, else 0.

        Both the product alone and the sum can overflow; a sticky accumulator keeps the first sign that is
        not 0.

        Raises:
            UserError: codes outside their formats, or a float accumulator.
        """
        increments = self._increments(a_codes, w_codes)
        fixed = self.accumulator
        assert isinstance(fixed, FixedAccumulator)
        return steps.overflow_sign(fixed, np.asarray(accumulators, self.accumulator_dtype), increments)

    def _increments(self, a_codes: npt.ArrayLike, w_codes: npt.ArrayLike) -> npt.NDArray[Any]:
        return np.asarray(
            self.products.increments(as_codes(self.activation, a_codes), as_codes(self.weight, w_codes))
        )

    @cached_property
    def _product_table(self) -> npt.NDArray[np.int64]:
        a = np.arange(1 << self.activation.bits)[:, None]
        w = np.arange(1 << self.weight.bits)[None, :]
        table = np.ascontiguousarray(self._increments(a, w), np.int64)
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

    @property
    def has_product_table(self) -> bool:
        """Whether `product_table` is offered."""
        if not self.is_fixed or self.activation.bits + self.weight.bits > TABLE_OPERAND_BITS:
            return False
        return self.accumulator_bits <= 64 and max(map(abs, self.products.limits)) < 1 << 63

    def matmul(
        self, a_codes: npt.ArrayLike, w_codes: npt.ArrayLike, initial: npt.ArrayLike | None = None
    ) -> Accumulators:
        """Accumulators [M, N] of the product of activations [M, K] and weights [K, N].

        Products are added in the order k = 0 .. K-1, starting from `initial` (accumulators that broadcast to
        [M, N]; zero by default). int64 for fixed accumulators (object above 64 bits), codes for float ones.

        Raises:
            UserError: shapes that do not match, codes outside their formats, `initial` outside the
                accumulator.
        """
        return self.multiply(a_codes, w_codes, initial).accumulators

    def multiply(
        self,
        a_codes: npt.ArrayLike,
        w_codes: npt.ArrayLike,
        initial: npt.ArrayLike | None = None,
        *,
        engine: EngineName | None = None,
    ) -> MatmulResult:
        """As `matmul`, with the sticky flags, the engine that ran and the reason why it is exact.

        Args:
            a_codes: activations [M, K].
            w_codes: weights [K, N].
            initial: accumulators to start from.
            engine: run this one instead of the planner's choice; every engine gives the same bits.

        Raises:
            UserError: as `matmul`; or the forced engine cannot compute this product exactly.
        """
        from simulator.numerics.engines.planner import multiply

        return multiply(self, a_codes, w_codes, initial, engine=engine)

    def to_real(self, accumulators: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The values of accumulators; exact up to 53 significant bits, else the nearest float64."""
        if not self.is_fixed:
            return self.accumulator_format.decode(accumulators)
        return np.ldexp(np.asarray(accumulators).astype(np.float64), self.accumulator_lsb)

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
            accumulators: what `matmul` gives.
            fmt: the format of the result.
            is_infinite: sticky infinity flags; these elements become the code of infinity (or saturate).
            overflow: sticky overflow signs of `posit8`; these elements become the largest values.

        Raises:
            UserError: an unknown format.
        """
        target = self.activation if fmt is None else get_format(fmt)
        return outputs.to_codes(self, accumulators, target, is_infinite, overflow)

    def __repr__(self) -> str:
        fixed = self.accumulator
        if isinstance(fixed, FixedAccumulator):
            sums = f"{fixed.bits}-bit accumulator, lowest bit 2^{fixed.lsb}, {fixed.overflow}"
        else:
            sums = f"{fixed.format} accumulator"
        return f"<Mac {self.name}: {self.activation.spec} x {self.weight.spec}, {self.spec.product}, {sums}>"


def _check(mac: Mac) -> None:
    spec, fixed = mac.spec, mac.accumulator
    source = f"MAC {spec.name!r}"
    if isinstance(fixed, FloatAccumulator):
        if spec.product != "fused":
            raise UserError(
                "does not go with a float accumulator",
                source=source,
                location="product",
                value=spec.product,
                allowed="fused",
            )
        outputs.check_float_accumulator(mac, source)
    elif spec.product == "fused":
        raise UserError(
            "does not go with a fixed accumulator",
            source=source,
            location="product",
            value="fused",
            allowed="exact, log",
        )
    else:
        _check_fixed(mac, fixed, source)
    outputs.check_output(mac, source)


def _check_fixed(mac: Mac, fixed: FixedAccumulator, source: str) -> None:
    if mac.spec.product == "log":
        _check_log(mac, fixed, source)
    elif not 2 <= fixed.bits <= MAX_ACCUMULATOR_BITS:
        raise UserError(
            "is no width of an accumulator",
            source=source,
            location="accumulator.bits",
            value=fixed.bits,
            allowed=f"2 to {MAX_ACCUMULATOR_BITS}",
        )
    if fixed.lsb < _LEAST_LSB or fixed.lsb + fixed.bits > _GREATEST_LSB:
        raise UserError(
            "float64 could not hold the values of the accumulator",
            source=source,
            location="accumulator.lsb",
            value=fixed.lsb,
            allowed=f"{_LEAST_LSB} to {_GREATEST_LSB - fixed.bits} with {fixed.bits} bits",
        )
    if mac.spec.product == "exact":
        _check_exact(mac, fixed, source)


def _check_log(mac: Mac, fixed: FixedAccumulator, source: str) -> None:
    a, w = mac.activation, mac.weight
    if (
        not (isinstance(a, LogBase) and isinstance(w, LogBase))
        or a.log_fraction_bits != w.log_fraction_bits
        or a.alpha != w.alpha
    ):
        raise UserError(
            "log products take two log formats of the same fraction and alpha",
            source=source,
            location="product",
            value=f"{a.spec} x {w.spec}",
        )
    if not a.alpha + 2 <= fixed.bits <= 64:
        raise UserError(
            "a log product is shifted in from the top of its accumulator",
            source=source,
            location="accumulator.bits",
            value=fixed.bits,
            allowed=f"{a.alpha + 2} to 64",
        )


def _check_exact(mac: Mac, fixed: FixedAccumulator, source: str) -> None:
    for fmt, field in ((mac.activation, "activation"), (mac.weight, "weight")):
        if fmt.bits > 16:
            raise UserError(
                "is too wide for exact products",
                source=source,
                location=field,
                value=fmt.spec,
                allowed="up to 16 bits",
            )
        if fmt.exponent_range[1] - fmt.lsb >= _INTEGER_RANGE:
            raise UserError(
                "has too wide a range for exact products",
                source=source,
                location=field,
                value=fmt.spec,
                allowed=f"values that are less than 2^{_INTEGER_RANGE} of their finest steps",
            )
    low, high = mac.products.limits
    if fixed.overflow != "sticky" and not (fixed.lowest <= low and high <= fixed.highest):
        needed = max((-low - 1).bit_length() if low < 0 else 0, high.bit_length()) + 1
        raise UserError(
            f"the accumulator is too narrow for one product of {mac.activation.spec} x {mac.weight.spec}"
            f" with lowest bit 2^{fixed.lsb}",
            source=source,
            location="accumulator.bits",
            value=fixed.bits,
            allowed=f"{needed} or more",
        )
