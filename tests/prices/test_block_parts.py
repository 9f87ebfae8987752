"""What a PE of a block-scaled MAC is made of: widths worked out by hand, and the energy of a block's end."""

from __future__ import annotations

import pytest

from simulator.arch.config import ArchConfig
from simulator.cost.composition import UNCERTAINTY, composed_pe_cost
from simulator.cost.mac_parts import structure_of
from simulator.cost.price import Price
from simulator.cost.run_prices import Prices
from simulator.numerics import get_mac
from simulator.numerics.block_scaled import get_block_format
from simulator.numerics.block_scaled.block_circuit import BlockWidths

PRICES = Prices.of(ArchConfig())


@pytest.mark.parametrize(
    ("name", "widths"),
    [
        # The largest elements in units of the smallest: 448 x 2^9, 57344 x 2^16, 28 x 2^4, 7.5 x 2^3, 6 x 2,
        # 127. product: bits of its square and a sign; block: of 32 (nvfp4: 16) squares; whole: of 4608
        # squares and 2 x 254 binades of scales, for nvfp4 of 4608 squares and two scales of 448 x 2^9.
        ("mxfp8_e4m3", (37, 42, 557)),
        ("mxfp8_e5m2", (65, 70, 585)),
        ("mxfp6_e3m2", (19, 24, 539)),
        ("mxfp6_e2m3", (13, 18, 533)),
        ("mxfp4", (9, 14, 529)),
        ("mxint8", (15, 20, 536)),
        ("nvfp4", (9, 13, 56)),
    ],
)
def test_widths_hold_every_sum(name: str, widths: tuple[int, int, int]) -> None:
    fmt = get_block_format(name)
    found = BlockWidths.of(fmt, fmt, 4608)
    assert (found.product, found.block, found.whole) == widths


def price_of(part: str, action: str) -> float:
    price = PRICES.part(part, action)
    assert isinstance(price, Price)
    return price.value


def test_mxint8_by_hand() -> None:
    """8 x 8 cells, a block's sum of 20 bits; its end in float32 once in 32 MACs: 20 + 24 + 2 bits wide."""
    cost = composed_pe_cost(structure_of(get_mac("mxint8")), PRICES)
    energy = {each.component: each.energy_pj for each in cost.combinational}
    area = {each.component: each.area_um2 for each in cost.combinational}

    def small(action: str) -> float:
        return price_of("small_adder_bit", action)

    adder, shifter = (price_of(part, "operate") for part in ("accumulate_adder_bit", "shifter_bit"))
    end = 46 * adder + (46 + 46 + 24 + 9) * small("operate")
    assert energy["pe_add"] == pytest.approx(20 * adder + end / 32)
    assert energy["pe_multiply"] == pytest.approx(
        64 * price_of("multiplier_cell", "operate") + 9 * small("operate") / 32
    )
    assert energy["pe_shift"] == pytest.approx((9 * small("operate") + 2 * 46 * shifter) / 32)
    wide = price_of("accumulate_adder_bit", "area")
    assert area["pe_add"] == pytest.approx((20 + 46) * wide + (46 + 46 + 24 + 9) * small("area"))
    assert cost.registers.all_bits == 8 + 8 + 20 + 32 + 1
    assert cost.uncertainty == UNCERTAINTY["float"]


def test_nvfp4_multiplies_scales() -> None:
    """2 x 2 cells an element; once in 16, 4 x 4 cells of scales, 13 x 8 of the block's sum, 5 adder bits."""
    cost = composed_pe_cost(structure_of(get_mac("nvfp4")), PRICES)
    (multiply,) = [each for each in cost.combinational if each.component == "pe_multiply"]
    cell, bit = price_of("multiplier_cell", "operate"), price_of("small_adder_bit", "operate")
    assert multiply.energy_pj == pytest.approx(4 * cell + 3 * bit + (5 * bit + (16 + 13 * 8) * cell) / 16)


def test_an_exact_sum_has_a_wide_register() -> None:
    mac = get_mac(
        {"activation": "nvfp4", "weight": "nvfp4", "accumulator": {"kind": "blocks", "sum": "once"}}
    )
    assert mac.accumulator_bits == 56
    parts = structure_of(mac).combinational
    (adder,) = [part for part in parts["pe_add"] if part.part == "kulisch_adder_bit"]
    assert (adder.count, adder.uses) == (56, 1 / 16)
