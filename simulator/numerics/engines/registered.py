"""The engines that products are offered to, the fastest first; the last one takes every product."""

from typing import Final

from simulator.numerics.engines import blas, log_sums, sequential, stepwise, table
from simulator.numerics.engines.problem import Engine

ENGINES: Final[tuple[Engine, ...]] = (
    blas.ENGINE,
    log_sums.ENGINE,
    table.ENGINE,
    sequential.ENGINE,
    stepwise.ENGINE,
)
