"""Engines of matrix products: each gives the same bits, or says why it cannot.

An engine is a module with an `Engine`; it is registered by its place in `ENGINES`, the fastest first.
The last one takes every product.
"""

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
