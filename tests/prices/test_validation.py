"""How near do predictions come to published figures that the model was not given?"""

from __future__ import annotations

import numpy as np
import pytest

from simulator.cost import bench
from simulator.cost.activity import counted_activity
from simulator.cost.tables import load_table
from simulator.cost.validation import validate
from simulator.cost.validation_text import validation_markdown, validation_text
from simulator.numerics import get_mac
from simulator.numerics.activity import switching_activity
from tests.reference.bench_toggles import toggles_of_one_run

CHECKS = {check.name: check for check in validate()}


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("elma8 array power, by counts", 0.10),
        ("elma8 array power, by toggles", 0.06),
        ("int8 array area", 0.02),
        ("elma16 PE area, composed", 0.10),
        ("28HPC+ int8/32 logic area", 0.03),
        ("28HPC+ int8/32 PE area", 0.03),
        ("28HPC+ int16/32 logic area", 0.04),
        ("28HPC+ int16/32 PE area", 0.03),
    ],
)
def test_predictions_within_their_targets(name: str, bound: float) -> None:
    assert CHECKS[name].nature == "prediction"
    assert abs(CHECKS[name].difference) < bound


@pytest.mark.parametrize(
    "name",
    [
        "int8 array power, by counts",
        "int8 array power, by toggles",
        "elma8 array area",
        "fp16 PE area, composed",
        "fp16 PE energy, composed",
    ],
)
def test_a_prediction_that_misses_says_why(name: str) -> None:
    assert CHECKS[name].difference < -0.10
    assert CHECKS[name].cause


def test_whatever_is_off_by_more_than_six_percent_has_a_cause() -> None:
    for check in CHECKS.values():
        assert abs(check.difference) < 0.06 or check.cause, check.name


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("8-bit power, elma8 / int8", 0.96),
        ("8-bit area, elma8 / int8", 1.12),
        ("16-bit power, elma16 / fp16", 0.59),
        ("16-bit area, elma16 / fp16", 0.68),
        ("elma8 saves on the multiply", 90.9),
        ("elma8 loses on the rest", 68.3),
        ("multiply in int8 logic", 63.4),
    ],
)
def test_the_tables_repeat_what_their_source_says_of_itself(name: str, published: float) -> None:
    check = CHECKS[name]
    digits = len(str(published).partition(".")[2])
    assert check.nature == "consistency"
    assert check.published == published
    assert round(check.predicted, digits) == published


def test_what_int8s_idle_cycles_would_have_to_cost() -> None:
    """The cause given for int8: published energy of a run, less its MACs, over its other PE-cycles."""
    run_pj = 226e3 * 450 / 1000
    idle = 1024 * (225 - 128)
    assert (run_pj - 131072 * 0.566) / idle == pytest.approx(0.28, abs=0.005)


def test_int8_array_power_by_counts_is_what_a_hand_calculation_gives() -> None:
    """131,072 useful PE-cycles, 67,584 idle ones and 31,744 in which sums shift, in 450 ns.

    A flip-flop's clock takes 1.83842 fJ, a bit that toggles 9.31132 fJ. A useful cycle takes 566 fJ; 48
    flip-flops are clocked in the others; in a shift 6.68 bits move and the adder takes half of 124.6 fJ. What
    rests leaks: 239.9 um2 of logic in every cycle without a useful MAC, and 4.2 nW/um2 of the output path.
    """
    clock_fj = 48 * 1.83842
    rests_fj = clock_fj + 239.904 * 8.4e-3
    shifts_fj = rests_fj + 6.68 * 9.31132 + (124.6 - 118.24 * 8.4e-3) / 2
    # 32 lanes with a 32-bit shift, an 8-bit increment, two 32-bit additions and two 32-bit comparisons
    lane_um2 = 32 * 81.774 / 38 + 8 * 3.64 + 2 * 32 * 3.681563 + 2 * 32 * 3.64
    output_path_mw = 32 * lane_um2 * 4.2e-6
    power_mw = (131_072 * 566 + 67_584 * rests_fj + 31_744 * shifts_fj) / 450 / 1000 + output_path_mw
    check = CHECKS["int8 array power, by counts"]
    assert check.predicted == pytest.approx(power_mw, abs=0.002)
    bound_mw = power_mw + 67_584 * 14.73 * 9.31132 / 450 / 1000
    assert f"{bound_mw:.1f} mW" in check.how


def test_the_bench_takes_225_cycles_and_128_useful_ones() -> None:
    counts = bench.bench_counts()
    assert counts.cycles.total == bench.CYCLES == 225
    assert counts.macs == 131072
    assert counts.pe_cycles.total == 225 * 1024


@pytest.mark.parametrize(("mac", "rel"), [("int8", 0.02), ("elma8", 0.03), ("elma16", 0.03)])
def test_operands_toggle_as_they_did_in_the_published_circuits(mac: str, rel: float) -> None:
    rates = bench.bench_rates(bench.bench_activity(get_mac(mac)))
    published = load_table("johnson2018_28nm").characterised[mac].toggles_per_cycle
    assert published is not None
    assert rates.activation == pytest.approx(published["activation"], rel=rel)
    assert rates.weight == pytest.approx(published["weight"], rel=rel)


@pytest.mark.parametrize("mac", ["int8", "elma8", "elma16"])
def test_the_toggles_counted_are_those_of_a_slow_count(mac: str) -> None:
    unit = get_mac(mac)
    a_codes, w_codes = bench.bench_operands(unit, np.random.default_rng(3))
    counted = counted_activity(switching_activity(unit, a_codes, w_codes, "os"))
    slow = toggles_of_one_run(unit, a_codes, w_codes)
    assert (counted.activation, counted.weight, counted.accumulator, counted.shift) == slow


@pytest.mark.parametrize("mac", ["int8", "elma8", "elma16"])
def test_accumulators_toggle_as_in_one_pe_of_the_published_bench(mac: str) -> None:
    """That bench is one PE, ten runs of 128 edges; 256 such PEs show how far one may stray."""
    unit, random, pes, edges = get_mac(mac), np.random.default_rng(7), 256, 128
    toggles = np.zeros(pes)
    for _ in range(10):
        sums = np.zeros(pes, np.int64)
        for _ in range(edges - 1):
            a, b = (random.standard_normal(pes) * (64 if mac == "int8" else 1) for _ in range(2))
            if mac == "int8":
                a, b = np.rint(a), np.rint(b)
            codes = unit.activation.encode(a), unit.weight.encode(b)
            following = np.asarray(unit.accumulate(sums, *codes), np.int64)
            mask = (1 << unit.accumulator_bits) - 1
            toggles += np.bitwise_count(((sums ^ following) & mask).astype(np.uint64))
            sums = following
    rates = toggles / (10 * edges)
    published = load_table("johnson2018_28nm").characterised[mac].toggles_per_cycle
    assert published is not None
    assert abs(rates.mean() - published["accumulator"]) < 3 * rates.std()


def test_the_page_and_the_text_show_every_check() -> None:
    checks = list(CHECKS.values())
    text, page = validation_text(checks), validation_markdown(checks)
    assert max(len(line) for line in text.splitlines()) <= 80
    for check in checks:
        assert check.name in text
        assert f"| {check.name} |" in page
