"""The Python interface: `simulate`, `compare`, `infer`. What they return shows itself in a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator import simulation
from simulator.arch import ArchConfig
from simulator.foundation import UserError
from simulator.foundation.callbacks import Progress
from simulator.measured_runs import Tensors
from simulator.report.notebook import ComparisonView, ResultView, view
from simulator.simulation import DEFAULT_ARCH
from simulator.workload import Network
from simulator.workload.onnx import Sizes

if TYPE_CHECKING:
    from simulator.inference import InferenceResult
    from simulator.sweep.side_by_side import VariantRuns

__all__ = ["DEFAULT_ARCH", "Tensors", "compare", "infer", "simulate"]


def simulate(
    network: str | Path | Network,
    arch: str | Path | ArchConfig = DEFAULT_ARCH,
    *,
    mac: str | None = None,
    dataflow: str | None = None,
    batch: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    scalesim_cfg: str | Path | None = None,
    skip_unsupported: bool = False,
    sizes: Sizes | None = None,
    tensors: Tensors | None = None,
    progress: Progress | None = None,
) -> ResultView:
    """`simulator.simulation.simulate`, its result with `to_dataframe()`, `plot()` and a notebook's view.

    Raises:
        UserError: anything given that cannot be used.
    """
    return view(
        simulation.simulate(
            network,
            arch,
            mac=mac,
            dataflow=dataflow,
            batch=batch,
            overrides=overrides,
            scalesim_cfg=scalesim_cfg,
            skip_unsupported=skip_unsupported,
            sizes=sizes,
            tensors=tensors,
            progress=progress,
        )
    )


def compare(
    network: str,
    *,
    macs: Sequence[str] = (),
    archs: Sequence[str] = (DEFAULT_ARCH,),
    batch: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    tensors: Tensors | None = None,
    jobs: int | None = None,
    dask: str | None = None,
    store: str | Path | None = None,
    progress: Progress | None = None,
) -> ComparisonView:
    """A network on every architecture with every MAC, side by side; empty `macs`: each architecture's own.

    Args:
        network: a bundled name or a file.
        macs: presets or specs such as `e4m3 x e4m3`.
        archs: bundled names or files.
        batch: inferences at once, in place of the network's own.
        overrides: architecture fields by dotted name, laid over every architecture.
        tensors: images for a trained network; add accuracy to every variant.
        jobs: processes to run on; None: one a core. With `tensors` they share the images of every variant.
        dask: with `tensors`, the address of the scheduler of a Dask cluster to run on (docs/clusters.md).
        store: with `tensors`, a folder for finished blocks of images, from which a later run goes on.
        progress: called after every variant.

    Raises:
        UserError: anything given that cannot be used, every variant that failed named in one message.
    """
    from simulator.spread_inference.spread_options import Spread
    from simulator.spread_inference.variant_runs import compare_spread
    from simulator.sweep import side_by_side

    spread = Spread(jobs, dask, None if store is None else Path(store))
    if tensors is None and (dask is not None or store is not None):
        raise UserError("dask and store are for networks that run on images: give tensors")
    if tensors is not None and spread.is_asked:
        runs, _ = compare_spread(
            network,
            tensors,
            spread,
            macs=macs,
            archs=archs,
            batch=batch,
            overrides=overrides,
            progress=progress,
        )
        return _shown(runs)
    runs = side_by_side.compare(
        network,
        macs=macs,
        archs=archs,
        batch=batch,
        overrides=overrides,
        tensors=tensors,
        jobs=jobs,
        progress=progress,
    )
    return _shown(runs)


def _shown(runs: VariantRuns) -> ComparisonView:
    if runs.failures:
        raise UserError("; ".join(f"{name}: {problem}" for name, problem in runs.failures.items()))
    return ComparisonView(runs.results)


def infer(
    model: str | Path,
    data: str | Path,
    *,
    mac: str = "int8",
    policy: str | None = None,
    images: int | None = None,
    preprocess: str | None = None,
    labels: str | None = None,
    device: str = "cpu",
    jobs: int | None = None,
    dask: str | None = None,
    store: str | Path | None = None,
    progress: Progress | None = None,
) -> InferenceResult:
    """Accuracy of a trained network through a MAC's arithmetic, and every layer's distance from float32.

    Every bit of the result is the same on any device, for any number of workers, and however often a run on
    a store was interrupted.

    Args:
        model: a bundled name or an ONNX file.
        data: as in `load_data` (docs/data.md).
        mac: the MAC of every layer.
        policy: how the network gets its formats; None: as the MAC needs.
        images: only the first so many; None: all.
        preprocess: what is done to pixels, as in `load_data`.
        labels: where classes of image files come from, as in `load_data`.
        device: `cpu` or `gpu` (docs/gpu.md).
        jobs: processes of this machine that share the images; None without `dask` and `store`: this process.
        dask: address of the scheduler of a Dask cluster whose workers share them (docs/clusters.md).
        store: a folder for finished blocks of images, from which a later run goes on.
        progress: called after every block of images, where workers share them.

    Raises:
        UserError: a model, images, labels, MAC, policy, device, workers or store that cannot be used.
        DefectError: a defect in a worker.
    """
    from simulator import inference
    from simulator.numerics.gpu import chosen_device
    from simulator.spread_inference.spread_options import Spread

    where = chosen_device(device)
    spread = Spread(jobs, dask, None if store is None else Path(store))
    if spread.is_asked:
        from simulator.spread_inference.opened_source import InferenceSource
        from simulator.spread_inference.planning import Arithmetic
        from simulator.spread_inference.spread_run import infer_spread

        if where is not None:
            raise UserError("a GPU works in one process: leave out jobs, dask and store", location="device")
        source = InferenceSource(str(model), str(data), images, None, preprocess, labels)
        return infer_spread(source, Arithmetic.of(mac, policy), spread, progress=progress)[1]
    network = inference.load_model(model)
    chosen = inference.load_data(data, network, preprocess=preprocess, labels=labels).first(images)
    return inference.infer(network, chosen, mac, policy, device=where)
