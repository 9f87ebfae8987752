"""Formats whose codes are looked up by the leading bits of a float."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property

import numpy as np
import numpy.typing as npt

from simulator.numerics.array_types import Codes
from simulator.numerics.formats.code_tables import compiled_loops
from simulator.numerics.formats.number_format import Format
from simulator.numerics.formats.pattern_table import PatternTable


class PatternFormat(Format):
    """A format that encodes by its `PatternTable`."""

    @property
    @abstractmethod
    def pattern_table(self) -> PatternTable:
        """The code of every pattern of leading bits."""

    def _encode(self, reals: npt.NDArray[np.float64]) -> Codes:
        return self.pattern_table.encode(reals)

    def _encode_compiled(self, reals: npt.NDArray[np.float32 | np.float64], codes: Codes) -> None:
        self.pattern_table.encode_compiled(reals, codes)

    def nearest_values(self, reals: npt.NDArray[np.float32 | np.float64]) -> npt.NDArray[np.float32]:
        """As every format's, by a table of values in place of codes."""
        if not compiled_loops.pay_off(reals.size):
            return super().nearest_values(reals)
        return self.pattern_table.looked_up(reals, self._nearest_values)

    @cached_property
    def _nearest_values(self) -> npt.NDArray[np.float32]:
        return self.values_in_float32[self.pattern_table.codes]
