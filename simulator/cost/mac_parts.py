"""From a MAC's numerics to the parts it is made of."""

from __future__ import annotations

from dataclasses import replace

from simulator.cost.mac_structure import MacIdentity, MacStructure, structure_from
from simulator.numerics import Mac


def structure_of(mac: Mac) -> MacStructure:
    """One PE, its edge decoders and its converter, in the parts that formats and accumulator count."""
    circuit = mac.accumulator.circuit(mac.pair)
    stages = mac.spec.pipeline_depth - 1
    return replace(
        structure_from(mac.name, circuit, mac.pair.register_bits),
        identity=MacIdentity(
            mac.activation.spec,
            mac.weight.spec,
            mac.spec.product,
            mac.accumulator.identity,
            mac.spec.pipeline_depth,
        ),
        price=mac.spec.price,
        pipeline_bits=stages * circuit.accumulator_bits,
        activation_decoder=mac.activation.decoder,
        weight_decoder=mac.weight.decoder,
        activation_code_bits=mac.activation.bits,
        weight_code_bits=mac.weight.bits,
        max_clock_mhz=mac.spec.max_clock_mhz,
    )
