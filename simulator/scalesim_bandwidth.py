"""What `timing: scalesim` leaves out of a run whose SCALE-Sim configuration limits the bandwidth."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

from simulator.arch import ArchConfig
from simulator.arch.scalesim_cfg import ScaleSimConfig
from simulator.system import LayerRun, MachineRun


def bandwidth_warnings(scalesim: ScaleSimConfig, arch: ArchConfig, run: MachineRun) -> tuple[str, ...]:
    """One sentence where `InterfaceBandwidth: USER` meets a timing without stalls, else none.

    It compares the DRAM bytes of every layer, all operands together, with what the bandwidth carries in the
    layer's cycles, and tells bytes and cycles where it does not suffice.
    """
    if scalesim.bandwidth_bytes_per_cycle is None or arch.array.timing != "scalesim":
        return ()
    bytes_per_cycle = Fraction(str(arch.dram.bandwidth_gbyte_per_s)) * 1000 / Fraction(str(arch.clock_mhz))
    rate = f"{float(bytes_per_cycle):,.6g} bytes per cycle" if bytes_per_cycle != 1 else "1 byte per cycle"
    start = f"timing scalesim models no stalls for bandwidth ({rate})"
    late = [layer for layer in run.layers if ceil(_bytes(layer) / bytes_per_cycle) > _cycles(layer)]
    if not late:
        return (f"{start}; the DRAM traffic of each layer fits into its cycles all the same",)
    worst = max(late, key=lambda layer: ceil(_bytes(layer) / bytes_per_cycle) - _cycles(layer))
    needed = [ceil(_bytes(layer) / bytes_per_cycle) for layer in late]
    layers = f"layer {worst.layer.name}" if len(late) == 1 else f"{len(late)} of {len(run.layers)} layers"
    most = f", most of all {worst.layer.name}" if len(late) > 1 else ""
    return (
        f"{start}; {layers} would have some{most}: {sum(map(_bytes, late)):,} bytes need {sum(needed):,} "
        f"cycles and {sum(map(_cycles, late)):,} are counted; timing reference models them",
    )


def _bytes(layer: LayerRun) -> int:
    return sum(traffic.total_bytes for traffic in layer.counts.dram.values())


def _cycles(layer: LayerRun) -> int:
    return layer.counts.cycles.total
