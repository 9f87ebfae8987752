"""A result whose parts do not sum to its whole cannot be built."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from simulator.foundation.femtojoules import picojoules
from simulator.result import LayerCycles, LayerResult, OperandTraffic

BEYOND_53_BITS = 2**53 + 1
"""The least integer that no float holds."""

BEYOND_64_BITS = 2**64 + 1


def layer(energy_fj: Mapping[str, int], /, **changes: object) -> LayerResult:
    fields: dict[str, object] = {
        "name": "conv1",
        "kind": "conv",
        "mac": "int8",
        "m": 4,
        "n": 3,
        "k": 2,
        "macs": 24,
        "folds": 1,
        "cycles": LayerCycles(compute=2, fill=3, drain=4, stall=1, total=10),
        "stalls": {"dram": 1},
        "utilization": 0.5,
        "sram_bytes": OperandTraffic(),
        "dram_bytes": OperandTraffic(),
        "energy_fj": energy_fj,
        "energy_pj": picojoules(energy_fj),
    }
    return LayerResult.model_validate(fields | changes)


SMALL = {"pe_add": 1500, "pe_multiply": 2, "total": 1502}


def test_a_closed_layer_is_accepted() -> None:
    closed = layer(SMALL)
    assert closed.energy_fj == {"pe_add": 1500, "pe_multiply": 2, "total": 1502}
    assert closed.energy_pj == {"pe_add": 1.5, "pe_multiply": 0.002, "total": 1.502}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"macs": 25}, "MACs do not add up"),
        ({"stalls": {"dram": 2}}, "stalls do not add up"),
        ({"energy_fj": {"total": 1501}, "energy_pj": {"total": 1.501}}, "femtojoules do not add up"),
        ({"energy_fj": {"pe_add": 1502}, "energy_pj": {"pe_add": 1.502}}, "energies have no 'total'"),
        ({"energy_pj": {"pe_add": 1.5, "pe_multiply": 0.002, "total": 1.501}}, "total: 1.501 pJ is not the"),
        ({"energy_pj": {"pe_add": 1.5, "total": 1.502}}, "of different components: pe_multiply"),
        ({"static_energy_pj": 0.001}, r"static energy: 0\.001 pJ is not the rounded view of 0 fJ"),
        ({"static_energy_fj": None}, r"static energy: 0\.0 pJ is not the rounded view of what is not priced"),
        ({"cycles": {"compute": 2, "fill": 3, "drain": 4, "stall": 1, "total": 11}}, "cycles do not add up"),
        ({"unknown": 1}, "Extra inputs"),
    ],
)
def test_a_layer_that_does_not_close_is_refused(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        layer(SMALL, **changes)


@pytest.mark.parametrize("part_fj", [BEYOND_53_BITS, BEYOND_64_BITS, 10**24 + 7])
def test_integers_beyond_floats_and_words_close_and_are_read_back(part_fj: int) -> None:
    closed = layer({"a": part_fj, "b": 3, "total": part_fj + 3})
    text = closed.model_dump_json()
    document = json.loads(text)
    assert document["energy_fj"] == {"a": str(part_fj), "b": "3", "total": str(part_fj + 3)}
    assert document["energy_pj"]["a"] == part_fj / 1000
    for read in (LayerResult.model_validate_json(text), LayerResult.model_validate(document)):
        assert read == closed
        assert read.energy_fj["total"] == part_fj + 3
        assert read.model_dump_json() == text


@pytest.mark.parametrize("part_fj", [BEYOND_53_BITS, BEYOND_64_BITS, 10**24 + 7])
def test_one_femtojoule_too_few_is_refused_at_any_size(part_fj: int) -> None:
    """The floats beside the integers are the same for both sums, so only integers can tell."""
    wrong = {"a": part_fj, "b": 3, "total": part_fj + 2}
    assert picojoules(wrong) == picojoules(wrong | {"total": part_fj + 3}) or part_fj < 2**60
    with pytest.raises(ValidationError, match=f"the parts give {part_fj + 3}, the whole says {part_fj + 2}"):
        layer(wrong)


@pytest.mark.parametrize(
    "text",
    ["", "1.5", "01500", "+1500", "1_500", " 1500", "1500\n", "-0", "0x5DC", "1e3", "9" * 301, "١٥٠٠"],
)
def test_femtojoules_are_written_in_plain_decimal_digits(text: str) -> None:
    with pytest.raises(ValidationError, match="must be whole femtojoules as a decimal string"):
        layer(SMALL, energy_fj={"pe_add": text, "pe_multiply": "2", "total": "1502"})


@pytest.mark.parametrize("value", [True, 1500.0, 1500.5, float("nan"), float("inf"), 10**300, [1500]])
def test_femtojoules_are_no_other_numbers(value: Any) -> None:
    with pytest.raises(ValidationError, match="must be whole femtojoules as a decimal string"):
        layer(SMALL, energy_fj={"pe_add": value, "pe_multiply": 2, "total": 1502})
