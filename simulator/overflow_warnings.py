"""Warnings of MACs whose accumulators some layer of a run could overflow."""

from __future__ import annotations

from simulator.arch import ArchConfig
from simulator.foundation.messages import with_others
from simulator.measurements import NO_LAYER, Measurements
from simulator.numerics import Mac, get_mac
from simulator.numerics.overflow_bounds import OverflowBound, overflow_bound
from simulator.price_lists import choices_key
from simulator.system import MachineRun
from simulator.workload import Layer


def overflow_warnings(arch: ArchConfig, run: MachineRun, measured: Measurements) -> list[str]:
    """One warning for each MAC that some layer could overflow, which names the worst layer.

    Layers whose sums were counted are left out: there it is known.
    """
    macs_of: dict[str, list[Mac]] = {}
    endangered: dict[str, list[Layer]] = {}
    bounds: dict[str, OverflowBound] = {}
    known: dict[tuple[str, int], OverflowBound] = {}
    for layer in (layer_run.layer for layer_run in run.layers):
        choices = arch.mac_choices(layer.name)
        key = choices_key(choices)
        if key not in macs_of:
            macs_of[key] = [get_mac(choice, custom=arch.macs) for choice, _ in choices]
        if measured.layers.get(layer.name, NO_LAYER).overflowed_sums is not None:
            continue
        for mac in macs_of[key]:
            if (mac.name, layer.k) not in known:
                known[mac.name, layer.k] = overflow_bound(mac, layer.k)
            bound = known[mac.name, layer.k]
            if bound.may_overflow:
                endangered.setdefault(mac.name, []).append(layer)
                if mac.name not in bounds or layer.k > bounds[mac.name].reduction_length:
                    bounds[mac.name] = bound
    warnings: list[str] = []
    for name, layers in endangered.items():
        worst = max(layers, key=lambda layer: layer.k)
        warnings.append(f"{with_others(worst.name, len(layers))}: {bounds[name]}")
    return warnings
