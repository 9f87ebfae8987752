"""Components of each PE that parts were fitted to, predicted as if its own figures were unknown."""

from __future__ import annotations

from collections.abc import Iterator

from simulator.cost.composition import UNCERTAINTY
from simulator.cost.validation_figures import bundled_prices, johnson, value_of
from simulator.prediction import Check


def left_out_checks() -> Iterator[Check]:
    """Components of each fitted PE by what the other one alone gives: as if its own figures were unknown."""
    for name, other, part, bits, flip_flops, others_flip_flops in (
        ("int8", "elma8", "kulisch_adder_bit", 32, 48, 63),
        ("elma8", "int8", "accumulate_adder_bit", 38, 63, 48),
    ):
        for action, unit, figure in (("operate", "pJ", "energy"), ("area", "um2", "area")):
            yield Check(
                f"{name} adder {figure}, {name} left out",
                unit,
                johnson("pe_add", name, action),
                bits * value_of(bundled_prices().part(part, action)),
                "prediction",
                f"{bits} bits of the adder of {other}",
                ("parts_28nm",),
                _LEFT_OUT_CAUSES["pe_add", name],
                UNCERTAINTY["fixed"],
            )
            yield Check(
                f"{name} registers {figure}, {name} left out",
                unit,
                johnson("pe_registers", name, action),
                flip_flops / others_flip_flops * johnson("pe_registers", other, action),
                "prediction",
                f"{flip_flops} flip-flops at the mean of those of {other}",
                ("johnson2018_28nm",),
                _LEFT_OUT_CAUSES["pe_registers", name] if action == "operate" else "",
                UNCERTAINTY["fixed"],
            )


_LEFT_OUT_CAUSES = {
    ("pe_add", "int8"): "an adder behind a multiplier sees every product bit change, and glitches of the "
    "multiplier; behind a shifter most inputs rest. So a composed adder takes the row of its kind",
    ("pe_add", "elma8"): "the inputs of an adder behind a shifter mostly rest, those behind a multiplier "
    "change with every product. So a composed adder takes the row of its kind",
    ("pe_registers", "int8"): "bits of the int8 PE toggle more often: 14.73 of 48 in a cycle, 14.26 of 63 in "
    "the log PE. With the toggles known, clock and toggle are priced apart",
    ("pe_registers", "elma8"): "bits of the log PE toggle less often: 14.26 of 63 in a cycle, 14.73 of 48 in "
    "the int8 PE. With the toggles known, clock and toggle are priced apart",
}
