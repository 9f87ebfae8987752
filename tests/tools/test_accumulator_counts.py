"""Are tests of the kind of accumulator few, and does the count see each way to write one?"""

from __future__ import annotations

import pytest

from tools.accumulator_counts import count_in, kind_tests

MOST = 20
"""There were 95 in 25 files when accumulators were records without methods."""


def test_accumulators_are_asked_and_not_told_apart() -> None:
    found = kind_tests()
    assert len(found) <= MOST, "\n".join(f"{test.path}:{test.line}: {test.text}" for test in found)
    assert any(str(test.path) == "inference/exact.py" for test in found)  # the reference has its own rules


@pytest.mark.parametrize(
    "source",
    [
        "isinstance(mac.accumulator, FixedAccumulator)",
        "isinstance(x, int | accumulators.FloatAccumulator)",
        "issubclass(kind, (FixedAccumulatorConfig, str))",
        "isinstance(rule, LogProducts)",
        "type(x) is FixedAccumulator",
        "fixed.overflow == 'wrap'",
        "fixed.overflow in ('wrap', 'sticky')",
        "mac.spec.product != 'fused'",
        "'log' == product",
        "mac.accumulator.kind == 'float'",
        "mac.is_fixed",
        "match x:\n    case FixedAccumulator(bits=8):\n        pass",
        "match fixed.overflow:\n    case 'wrap':\n        pass",
    ],
)
def test_every_way_to_test_a_kind_counts_once(source: str) -> None:
    assert count_in(source) == 1


@pytest.mark.parametrize(
    "source",
    [
        "isinstance(x, int)",
        "layer.kind == 'fc'",
        "text.overflow = 'fold'",
        "FixedAccumulator(32, 0, 'wrap')",
        "mac.accumulator.step(pair, sums, a, w)",
        "name == 'log'",
        "mac.accumulator.depends_on_order",
    ],
)
def test_what_tests_no_kind_does_not_count(source: str) -> None:
    assert count_in(source) == 0
