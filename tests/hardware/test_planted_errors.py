"""Are errors in the hardware found? Mutants of the RTL, mapped and held against numerics."""

from __future__ import annotations

import pytest

pytest.importorskip("amaranth", reason="needs Amaranth: pip install 'systolic-simulator[rtl]'")
pytest.importorskip("pyosys", reason="needs pyosys: pip install 'systolic-simulator[rtl]'")

from simulator.hardware import float_sums
from simulator.hardware.array_circuit import ArrayShape
from simulator.hardware.equivalence import prove_equivalence
from simulator.hardware.float_sums import StepRounding
from simulator.hardware.sequential_checks import check_runs
from simulator.hardware.step_checks import check_converter, check_decoders, check_steps
from simulator.hardware.synthesized_macs import SynthesizedMac
from simulator.numerics import get_mac
from simulator.numerics.accumulators.coded import CodedAccumulator
from tests.hardware.synthesized import from_codes, mutants, synthesized, with_text

FAMILIES = ("int8", "mixed8", "fp8", "elma8", "fp16", "posit8")


def test_a_missing_sign_extension_is_found() -> None:
    original = synthesized("int8")
    text = original.designs["mac"].text.replace("_SIGNED 1", "_SIGNED 0")
    found = check_steps(with_text(original, "mac", text), 0, 10_000)
    assert found.compared == 4 * 65536
    # A product is wrong where either factor is negative and the other is not 0.
    assert found.differing > found.compared / 2
    assert found.first is not None
    assert "the gates give" in found.first


def test_rounding_towards_zero_is_found_in_place_of_rounding_to_nearest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def truncating(_: CodedAccumulator) -> StepRounding:
        return StepRounding(to_nearest=False, flush=True, saturates=False)

    monkeypatch.setattr(float_sums.StepRounding, "of", truncating)
    found = check_steps(SynthesizedMac.of(get_mac("fp16"), ArrayShape.of(1, 1, "os")), 0, 20_000)
    assert found.differing > 1000


def test_a_register_that_resets_to_0_is_found_where_zero_has_another_pattern() -> None:
    """Only a sequential run sees it. Zero of log8.1 is its flag 0x200 beside the least exponent, -12 << 4."""
    original = synthesized("elma8")
    zero = f"12'{0x340:012b}"
    assert zero in original.designs["pe"].text
    mutant = with_text(original, "pe", original.designs["pe"].text.replace(zero, "12'" + "0" * 12))
    assert check_steps(mutant, 0, 1000).differing == 0
    found = check_runs(mutant, 0, runs=2, length=5, random_edges=20)
    assert found.differing > 0
    assert found.first is not None
    assert "edge 0, activation of PE (0, 0): the gates hold 0x0, the grid 0x340" in found.first


def test_an_array_whose_enables_have_another_order_is_found() -> None:
    original = synthesized("int8")
    text = original.designs["pe"].text
    swapped = (
        text.replace("\\multiply", "\\other")
        .replace("\\shift_out", "\\multiply")
        .replace("\\other", "\\shift_out")
    )
    assert check_runs(with_text(original, "pe", swapped), 0, runs=2, length=5, random_edges=0).differing > 0


def test_a_wrong_decoder_and_a_wrong_converter_are_found() -> None:
    original = synthesized("posit8")
    for role in ("weight_decoder", "converter"):
        verdicts = []
        for text in mutants(original.designs[role].text, 2, 1):
            mutant = with_text(original, role, text)
            checks = [*check_decoders(mutant), check_converter(mutant, 0)]
            verdicts.append(any(each is not None and each.differing for each in checks))
        assert any(verdicts), role


def is_caught_or_equivalent(family: str, seed: int, count: int) -> tuple[int, int]:
    """How many mutants of a MAC are caught, and how many of the others are proven to be no change."""
    original = from_codes(synthesized(family))
    caught = equivalent = 0
    for text in mutants(original.designs["mac"].text, count, seed):
        mutant = with_text(original, "mac", text)
        if check_steps(mutant, seed, 100_000).differing:
            caught += 1
            continue
        # The mutant's gates against the original's RTL.
        gates = SynthesizedMac(
            original.mac, original.shape, original.designs, mutant.netlist_text, mutant.netlists
        )
        equivalent += prove_equivalence(gates, "codes", limit_s=60).verdict == "equivalent"
    return caught, equivalent


def test_mutants_of_an_exact_sum_are_caught_or_no_change() -> None:
    caught, equivalent = is_caught_or_equivalent("fp8", 2, 4)
    assert caught >= 3
    assert caught + equivalent == 4


@pytest.mark.exhaustive
@pytest.mark.parametrize("family", FAMILIES)
def test_ten_mutants_of_each_family_are_caught_or_no_change(family: str) -> None:
    caught, equivalent = is_caught_or_equivalent(family, 3, 10)
    # The step of int8 has eight places only that can be changed.
    assert caught + equivalent == (8 if family == "int8" else 10)
    assert caught >= 6


def test_a_proof_says_that_a_mutant_differs() -> None:
    original = synthesized("int8")
    assert prove_equivalence(original, "mac", limit_s=60).verdict == "equivalent"
    text = original.designs["mac"].text.replace("_SIGNED 1", "_SIGNED 0")
    mutant = with_text(original, "mac", text)
    gates = SynthesizedMac(
        original.mac, original.shape, original.designs, mutant.netlist_text, mutant.netlists
    )
    assert prove_equivalence(gates, "mac", limit_s=60).verdict == "not equivalent"


@pytest.mark.exhaustive
def test_a_proof_that_does_not_end_is_no_answer() -> None:
    found = prove_equivalence(synthesized("fp32"), "mac", limit_s=1)
    assert (found.verdict, found.limit_s) == ("undecided", 1)
