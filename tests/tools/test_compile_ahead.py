"""Does the demo compile ahead the very kernels that a simulation calls?"""

from __future__ import annotations

import pytest

from simulator.api import simulate
from simulator.system.tiling_neighbours import list_filling, list_neighbours
from tools import compile_ahead

KERNELS = (list_neighbours, list_filling)


@pytest.mark.slow
def test_a_simulation_compiles_nothing_that_was_compiled_ahead() -> None:
    compile_ahead.main()
    ahead = [list(kernel.signatures) for kernel in KERNELS]  # type: ignore[attr-defined]
    assert all(ahead)
    result = simulate("lenet5_fashion")
    simulate("resnet18")
    assert [list(kernel.signatures) for kernel in KERNELS] == ahead  # type: ignore[attr-defined]
    assert result.totals.cycles == 7_074  # the table of the README: the search was put back
