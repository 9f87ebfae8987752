"""An operand that many products share, such as a layer's weights: what engines make of it is made once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

from simulator.numerics.array_types import Codes
from simulator.numerics.formats.code_tables import ValueFormat, has_special

Made = TypeVar("Made")


class SharedOperand:
    """Codes that do not change, and what was made of them by what it is.

    Threads may make the same thing twice; both are equal, and one is kept.
    """

    def __init__(self, codes: Codes) -> None:
        """Nothing is made yet."""
        self.codes = codes
        self._made: dict[Hashable, Any] = {}

    def has_special(self, fmt: ValueFormat) -> bool:
        """Whether any of the codes, which are of this format, stands for infinity or NaN."""
        return self.made(("special", fmt), lambda: has_special(fmt, self.codes))

    @classmethod
    def of(cls, operand: Codes | SharedOperand) -> SharedOperand:
        """The operand itself, or codes that nothing else uses."""
        return operand if isinstance(operand, SharedOperand) else cls(operand)

    def made(self, what: Hashable, make: Callable[[], Made]) -> Made:
        """What `make` gives, called the first time that `what` is asked for; the same object after that."""
        if what not in self._made:
            self._made[what] = make()
        return cast(Made, self._made[what])
