"""The rooms joined together: from a network and an architecture to a result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.arch import ArchConfig, load_arch
from simulator.arch.mapping_files import with_mapping
from simulator.foundation import UserError
from simulator.foundation.callbacks import Progress
from simulator.foundation.given_values import override_values, path_text
from simulator.foundation.reading.content import is_folder
from simulator.measurements import MeasuredRun
from simulator.price_lists import move_prices_of
from simulator.result import Origin, Result
from simulator.result_assembly import assemble
from simulator.system import MachineRun, simulate_network
from simulator.system.kept_tilings import KeptTilings
from simulator.workload import Network, load_network
from simulator.workload.batching import with_batch
from simulator.workload.onnx.sizes import Sizes

if TYPE_CHECKING:
    from simulator.arch.scalesim_cfg import ScaleSimConfig
    from simulator.measured_runs import Tensors


DEFAULT_ARCH = "int8_32x32"
"""The architecture of a run that names none: 32 x 32 PEs of 8-bit integers at 500 MHz."""


def simulate(
    network: str | Path | Network,
    arch: str | Path | ArchConfig = DEFAULT_ARCH,
    *,
    mac: str | Mapping[str, Any] | None = None,
    dataflow: str | None = None,
    batch: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    scalesim_cfg: str | Path | None = None,
    mapping: str | Path | None = None,
    skip_unsupported: bool = False,
    sizes: Sizes | None = None,
    tensors: Tensors | None = None,
    made_from: Origin | None = None,
    progress: Progress | None = None,
) -> Result:
    """Cycles, latency, power, energy and area of a network on an architecture, and its accuracy on data.

    Args:
        network: a bundled name, a SCALE-Sim topology, an ONNX file, a YAML of layers, or a `Network`.
        arch: a bundled name, a YAML file, or an `ArchConfig`.
        mac: MAC of every PE in place of the architecture's: a preset, a spec such as `e4m3 x e4m3`, or a
            mapping as in an architecture file.
        dataflow: a name in `simulator.dataflow.DATAFLOWS`, in place of the architecture's.
        batch: inferences at once, in place of the network's own.
        overrides: any architecture field by its dotted name: `{"sram.ifmap.capacity_kib": 64}`.
        scalesim_cfg: a SCALE-Sim configuration file, laid over the architecture and under the overrides.
        mapping: a file that fixes dataflow and tiling of single layers, as `--mapping-out` writes it.
        skip_unsupported: leave out ONNX operators that cannot be simulated instead of refusing.
        sizes: of the inputs of an ONNX file, where it leaves them open, and which dimension is the batch.
        tensors: images for a trained network; add accuracy and let energy follow the bits that toggle.
        made_from: what the result says it was made from, where `network` was loaded before.
        progress: called after every layer.

    Raises:
        UserError: anything given that cannot be used.
    """
    scalesim = None
    if scalesim_cfg is not None:
        from simulator.arch.scalesim_cfg import read_scalesim_cfg

        scalesim = read_scalesim_cfg(scalesim_cfg)
    configured = configure(
        arch,
        {"array.mac": mac, "array.dataflow": dataflow, **override_values(overrides)},
        scalesim=scalesim,
        mapping=mapping,
    )
    if tensors is None:
        ready = MeasuredRun(
            configured,
            load_workload(network, batch=batch, skip_unsupported=skip_unsupported, sizes=sizes),
        )
    elif isinstance(network, Network):
        raise UserError("a network that runs on data is a name or a file", value=network.name)
    else:
        from simulator.measured_runs import measure_on_images

        ready = measure_on_images(
            configured,
            path_text(network, what="a network"),
            tensors,
            batch=batch,
            sizes=sizes,
            progress=progress,
        )
    if made_from is None and not isinstance(network, Network):
        made_from = origin(
            configured,
            str(network),
            batch=batch,
            skip_unsupported=skip_unsupported,
            sizes=sizes,
            tensors=tensors,
            scalesim_cfg=scalesim_cfg,
        )
    return finish(ready, scalesim=scalesim, made_from=made_from, progress=progress)


def origin(
    arch: ArchConfig,
    network: str,
    *,
    batch: int | None = None,
    skip_unsupported: bool = False,
    sizes: Sizes | None = None,
    tensors: Tensors | None = None,
    scalesim_cfg: str | Path | None = None,
) -> Origin:
    """What a run is given by name.

    With tensors, or a trace, also `arch`: formats are written into the one that runs.
    """
    chosen = sizes or Sizes()
    measures = tensors is not None or is_folder(Path(network))
    return Origin(
        network=network,
        batch=batch,
        skip_unsupported=skip_unsupported,
        input_shapes={name: list(shape) for name, shape in chosen.input_shapes.items()},
        dims=dict(chosen.dims),
        batch_axis=None if chosen.batch_axis == "auto" else str(chosen.batch_axis),
        input_values=dict(chosen.values),
        data=None if tensors is None else tensors.data,
        policy=None if tensors is None else tensors.policy,
        policies={} if tensors is None else dict(tensors.policies),
        images=None if tensors is None else tensors.images,
        preprocess=None if tensors is None else tensors.preprocess,
        labels=None if tensors is None else tensors.labels,
        scalesim_cfg=None if scalesim_cfg is None else str(scalesim_cfg),
        arch=arch.model_dump(mode="json") if measures else None,
    )


def finish(
    ready: MeasuredRun,
    *,
    scalesim: ScaleSimConfig | None = None,
    made_from: Origin | None = None,
    progress: Progress | None = None,
) -> Result:
    """The result of a network on an architecture, with what tensors told of it. Raises UserError."""
    run = run_machine(ready.arch, ready.network, scalesim=scalesim, progress=progress)
    return assemble(ready.arch, run, ready.measured, made_from=made_from)


def configure(
    arch: str | Path | ArchConfig,
    overrides: Mapping[str, Any] | None = None,
    *,
    scalesim: ScaleSimConfig | None = None,
    mapping: str | Path | None = None,
) -> ArchConfig:
    """The architecture with overrides laid over it; overrides that are None are left out.

    A mapping file (`systolic simulate --mapping-out`) fixes dataflow and tiling of the layers that it names.
    A SCALE-Sim configuration lies under the overrides. Its bandwidth, which is in bytes per cycle, is
    converted at the clock that holds in the end, and gives way to an override of the bandwidth itself.

    Raises:
        UserError: as `load_arch`.
    """
    given = {field: value for field, value in override_values(overrides).items() if value is not None}
    if scalesim is not None:
        given = {**scalesim.overrides, **given}
    configured = load_arch(arch, given)
    if scalesim is not None and not _sets_bandwidth(given):
        configured = load_arch(arch, given | scalesim.bandwidth_at(configured.clock_mhz))
    return configured if mapping is None else with_mapping(configured, mapping)


def _sets_bandwidth(overrides: Mapping[str, Any]) -> bool:
    from simulator.arch.scalesim_cfg import BANDWIDTH_FIELD

    section, _, name = BANDWIDTH_FIELD.partition(".")
    dram = overrides.get(section)
    return BANDWIDTH_FIELD in overrides or (isinstance(dram, Mapping) and name in dram)


def load_workload(
    network: str | Path | Network,
    *,
    batch: int | None = None,
    skip_unsupported: bool = False,
    sizes: Sizes | None = None,
) -> Network:
    """The network of a name, a file, or itself. Raises UserError as `load_network`."""
    if isinstance(network, Network):
        return network if batch is None else with_batch(network, batch)
    return load_network(network, batch=batch, skip_unsupported=skip_unsupported, sizes=sizes)


def run_machine(
    arch: ArchConfig,
    network: Network,
    *,
    scalesim: ScaleSimConfig | None = None,
    progress: Progress | None = None,
    keep_tilings: bool = False,
) -> MachineRun:
    """What the machine does, unpriced: cycles by cause, tilings, bytes, timeline.

    `scalesim` is the configuration file that the architecture was made with; its warnings become the run's.
    `keep_tilings`: take tilings that an earlier process found from the user's cache, and leave this run's.

    Raises:
        UserError: a buffer too small for a layer, or whatever else cannot run.
    """

    def advance(done: int, total: int, _layer: str) -> None:
        if progress is not None:
            progress(network.name, done, total)

    kept = KeptTilings.of(arch, network) if keep_tilings else None
    run = simulate_network(arch, network, progress=advance, move_prices=move_prices_of(arch), kept=kept)
    if scalesim is None:
        return run
    from simulator.scalesim_bandwidth import bandwidth_warnings

    return replace(
        run, warnings=(*scalesim.warnings, *bandwidth_warnings(scalesim, arch, run), *run.warnings)
    )
