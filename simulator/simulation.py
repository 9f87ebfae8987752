"""The rooms joined together: from a network and an architecture to a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.arch import ArchConfig, load_arch
from simulator.assembly import MeasuredRun, assemble
from simulator.result import Result
from simulator.system import MachineRun, simulate_network
from simulator.workload import Network, load_network

if TYPE_CHECKING:
    from simulator.measured import Tensors

Progress = Callable[[str, int, int], None]
"""Called as `progress(what, done, total)`."""

DEFAULT_ARCH = "int8_32x32"


def simulate(
    network: str | Path | Network,
    arch: str | Path | ArchConfig = DEFAULT_ARCH,
    *,
    mac: str | None = None,
    dataflow: str | None = None,
    batch: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    skip_unsupported: bool = False,
    tensors: Tensors | None = None,
    progress: Progress | None = None,
) -> Result:
    """Cycles, latency, power, energy and area of a network on an architecture, and its accuracy on data.

    Args:
        network: a bundled name, a SCALE-Sim topology, an ONNX file, a YAML of layers, or a `Network`.
        arch: a bundled name, a YAML file, or an `ArchConfig`.
        mac: MAC of every PE in place of the architecture's: a preset or a spec such as `e4m3 x e4m3`.
        dataflow: `os`, `ws` or `is` in place of the architecture's.
        batch: inferences at once, in place of the network's own.
        overrides: any architecture field by its dotted name: `{"sram.ifmap.capacity_kib": 64}`.
        skip_unsupported: leave out ONNX operators that cannot be simulated instead of refusing.
        tensors: images for a trained network; add accuracy and let energy follow the bits that toggle.
        progress: called after every layer.

    Raises:
        UserError: anything given that cannot be used.
    """
    configured = configure(arch, {"array.mac": mac, "array.dataflow": dataflow, **(overrides or {})})
    if tensors is None:
        ready = MeasuredRun(
            configured, load_workload(network, batch=batch, skip_unsupported=skip_unsupported)
        )
    else:
        from simulator.measured import measure_on_images

        ready = measure_on_images(configured, str(network), tensors, batch=batch, progress=progress)
    return finish(ready, progress=progress)


def finish(ready: MeasuredRun, *, progress: Progress | None = None) -> Result:
    """The result of a network on an architecture, with what tensors told of it. Raises UserError."""
    return assemble(ready.arch, run_machine(ready.arch, ready.network, progress=progress), ready.measured)


def configure(arch: str | Path | ArchConfig, overrides: Mapping[str, Any] | None = None) -> ArchConfig:
    """The architecture with overrides laid over it; overrides that are None are left out.

    Raises:
        UserError: as `load_arch`.
    """
    given = {field: value for field, value in (overrides or {}).items() if value is not None}
    return load_arch(arch, given)


def load_workload(
    network: str | Path | Network, *, batch: int | None = None, skip_unsupported: bool = False
) -> Network:
    """The network of a name, a file, or itself. Raises UserError as `load_network`."""
    if isinstance(network, Network):
        return network
    return load_network(network, batch=batch, skip_unsupported=skip_unsupported)


def run_machine(arch: ArchConfig, network: Network, *, progress: Progress | None = None) -> MachineRun:
    """What the machine does, unpriced: cycles by cause, tilings, bytes, timeline.

    Raises:
        UserError: a buffer too small for a layer, or whatever else cannot run.
    """

    def advance(done: int, total: int, _layer: str) -> None:
        if progress is not None:
            progress(network.name, done, total)

    return simulate_network(arch, network, progress=advance)
