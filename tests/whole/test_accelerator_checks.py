"""Whole accelerators beside the model: are the published figures right, and are the differences explained?"""

from __future__ import annotations

import math

import pytest

from simulator.accelerator_checks import accelerator_checks
from tools.validation_page import predictions_before

CHECKS = {check.name: check for check in accelerator_checks()}
MACS = (2048, 1024, 512, 256, 128, 64, 32)


@pytest.mark.parametrize(
    ("macs", "buffer_kib", "area_mm2", "rate"),
    [
        (2048, 512, 5.5, 269), (1024, 256, 3.0, 153), (512, 256, 2.3, 93), (256, 256, 1.7, 46),
        (128, 256, 1.4, 20), (64, 128, 0.91, 7.3), (32, 128, 0.85, 3.6),
    ],
)  # fmt: skip
def test_nvdla_has_its_designers_figures_and_a_predicted_area_added_up_by_hand(
    macs: int, buffer_kib: int, area_mm2: float, rate: float
) -> None:
    """336.672 um2 a PE; two buffers of half the capacity, 1483.4 um2 a KiB and 9.6685 um2 a bit of a word."""
    area = CHECKS[f"NVDLA {macs} MACs area"]
    assert (area.published, CHECKS[f"NVDLA {macs} MACs, ResNet-50"].published) == (area_mm2, rate)
    by_hand = macs * 336.672 + buffer_kib * 1483.4 + 2 * 256 * 9.6685
    assert area.predicted * 1e6 == pytest.approx(by_hand, rel=1e-4)
    # published PEs state no uncertainty (15 %), areas of the SRAM fit 27.1 %; both are off independently
    off = math.hypot(0.15 * macs * 336.672, 0.271 * (buffer_kib * 1483.4 + 2 * 256 * 9.6685))
    assert area.uncertainty == pytest.approx(off / by_hand, rel=1e-3)
    assert area.nature == "other_hardware"
    assert not area.is_inside
    beside_macs = macs * (1700 - 336.672) / 1e6
    assert f"{area_mm2 - by_hand / 1e6:.2f} mm2 that it lacks are 0.44" in area.cause
    assert f"{beside_macs:.2f} beside the PEs (1,700 um2 a MAC)" in area.cause


@pytest.mark.parametrize("macs", MACS)
def test_no_rate_is_above_its_bound(macs: int) -> None:
    """ResNet-50 has 3.9 to 4.1 billion MACs, so MACs x 1 GHz / 3.9e9 is never passed."""
    assert 0.5 * macs / 4.1 < CHECKS[f"NVDLA {macs} MACs, ResNet-50"].predicted < macs / 3.85


def test_eyeriss_has_the_shares_of_its_measured_layers() -> None:
    """Processing 16.5, 39.2, 21.8, 16.0, 10.0 of 103.5 ms; mW x ms add up to 278 mW x 115.3 ms."""
    times = [CHECKS[f"Eyeriss AlexNet conv{n}, share of time"] for n in range(1, 6)]
    energies = [CHECKS[f"Eyeriss AlexNet conv{n}, share of energy"] for n in range(1, 6)]
    assert [c.published for c in times] == pytest.approx(
        [100 * ms / 103.5 for ms in (16.5, 39.2, 21.8, 16, 10)]
    )
    micro_joule = [332 * 20.9, 288 * 41.9, 266 * 23.6, 235 * 18.4, 236 * 10.5]
    assert sum(micro_joule) == pytest.approx(278 * 115.3, rel=0.002)
    assert [c.published for c in energies] == pytest.approx(
        [100 * one / sum(micro_joule) for one in micro_joule]
    )
    for shares in (times, energies):
        assert sum(c.predicted for c in shares) == pytest.approx(100)


def test_each_layer_of_eyeriss_has_a_reason_with_its_own_figures() -> None:
    """conv2: 223.9 million MACs an image (27 x 27 x 128 x 1200 x 2), 39.2 ms for four at 200 MHz on 168 PEs.

    In the model, 12 rows take 1200 taps in 100 steps and 14 columns take 128 channels in ten: 91.4 % of its
    PE-cycles but for fill, drain and stalls.
    """
    causes = [check.cause for check in CHECKS.values() if check.name.startswith("Eyeriss")]
    assert len(set(causes)) == len(causes) == 10
    macs = 4 * 27 * 27 * 256 * 1200
    busy = macs / (39.2e-3 * 200e6 * 168)
    time = CHECKS["Eyeriss AlexNet conv2, share of time"]
    assert f"multiply in {busy * 168 / 135:.0%} of their cycles: {busy:.0%} of all PE-cycles" in time.cause
    assert "The model multiplies in 91%" in time.cause
    energy = CHECKS["Eyeriss AlexNet conv2, share of energy"]
    assert f"Eyeriss takes {288e-3 * 41.9e-3 / macs * 1e12:.1f} pJ a MAC here" in energy.cause
    assert energy.uncertainty is not None
    assert 0 < energy.uncertainty < 0.005  # prices are shared by the layers and cancel


def test_causes_explain_the_sign_of_each_difference() -> None:
    """The texts say where the model is above and where it is below; the figures must agree."""
    assert all(CHECKS[f"NVDLA {macs} MACs area"].difference < 0 for macs in MACS)
    assert all(CHECKS[f"NVDLA {macs} MACs, ResNet-50"].difference > 0 for macs in MACS)
    energy = [CHECKS[f"Eyeriss AlexNet conv{n}, share of energy"].difference for n in range(1, 6)]
    assert [difference > 0 for difference in energy] == [False, False, True, True, True]
    time = [CHECKS[f"Eyeriss AlexNet conv{n}, share of time"].difference for n in range(1, 6)]
    assert [difference > 0 for difference in time] == [False, False, True, True, True]
    assert all(check.cause for check in CHECKS.values())


def test_earlier_predictions_belong_to_checks_that_exist() -> None:
    from simulator.cost.validation import validate

    before = predictions_before()
    assert set(before) <= {check.name for check in validate()}
    assert before["FDSOI float8 multiplier energy"] == 88.2
