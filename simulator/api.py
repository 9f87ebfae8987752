"""The Python interface: `simulate`, `compare`, `infer`. What they return shows itself in a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from simulator import simulation
from simulator.arch import ArchConfig
from simulator.foundation import UserError
from simulator.foundation.callbacks import Progress
from simulator.foundation.given_values import path_text
from simulator.foundation.python_arguments import (
    PATHS,
    in_python_terms,
    require_callable,
    require_kind,
    require_kind_if_given,
)
from simulator.mac_arguments import require_bundled_variants, require_priced_variants
from simulator.measured_runs import Tensors
from simulator.notebook_views import ComparisonView, ResultView, view
from simulator.numerics.mac_setting import MacChoice, mac_setting
from simulator.simulation import DEFAULT_ARCH
from simulator.workload import Network
from simulator.workload.onnx import Sizes

if TYPE_CHECKING:
    from simulator.inference import InferenceResult
    from simulator.spread_inference.spread_options import Spread
    from simulator.sweep.side_by_side import VariantRuns

_ARGUMENTS: Final = {
    f"--{name.replace('_', '-')}": name
    for name in ("batch", "data", "dask", "device", "images", "jobs", "labels", "mac", "policy", "preprocess")
} | {"--store": "store", "--skip-unsupported": "skip_unsupported"}
"""What options of the command line are called here."""

_SIZES: Final = {
    "--input-shape": "sizes.input_shapes",
    "--dim": "sizes.dims",
    "--batch-axis": "sizes.batch_axis",
    "--input-value": "sizes.values",
}
_OF_IMAGES: Final = {
    f"--{name}": f"tensors.{name}" for name in ("data", "images", "labels", "policy", "preprocess")
}

_PATH: Final = "a name or a path"
_PROGRESS: Final = "a function of what is done, how many, and of how many"

__all__ = ["DEFAULT_ARCH", "MacChoice", "Tensors", "compare", "infer", "simulate"]


@in_python_terms(_ARGUMENTS | _SIZES | _OF_IMAGES)
def simulate(
    network: str | Path | Network,
    arch: str | Path | ArchConfig = DEFAULT_ARCH,
    *,
    mac: MacChoice | None = None,
    dataflow: str | None = None,
    batch: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    scalesim_cfg: str | Path | None = None,
    skip_unsupported: bool = False,
    sizes: Sizes | None = None,
    tensors: Tensors | None = None,
    progress: Progress | None = None,
) -> ResultView:
    """Cycles, latency, power, energy and area of a network on an architecture, and its accuracy on data.

    Args:
        network: a bundled name, a SCALE-Sim topology, an ONNX file, a YAML of layers, a recorded trace, or a
            `Network`.
        arch: a bundled name, a YAML file, or an `ArchConfig`.
        mac: MAC of every PE in place of the architecture's; see `MacChoice`.
        dataflow: `os`, `ws`, `is` or `wst` in place of the architecture's: what stays in the PEs.
        batch: inferences at once, in place of the network's own.
        overrides: any architecture field by its dotted name: `{"sram.ifmap.capacity_kib": 64}`.
        scalesim_cfg: a SCALE-Sim configuration file, laid over the architecture and under the overrides.
        skip_unsupported: leave out ONNX operators that cannot be simulated, in place of an error.
        sizes: of the inputs of an ONNX file, where it leaves them open, and which dimension is the batch.
        tensors: images for a trained network. They add accuracy, and energy then follows the bits that
            toggle.
        progress: called after every layer with what is done, how many, and of how many.

    Returns:
        The result, which a notebook shows, with `to_dataframe()`, `plot()` and `save()`.

    Raises:
        UserError: anything given that cannot be used.
    """
    require_kind("network", network, (*PATHS, Network), "a name, a path or a Network")
    require_kind("arch", arch, (*PATHS, ArchConfig), "a name, a path or an ArchConfig")
    require_kind_if_given("dataflow", dataflow, str, "os, ws, is or wst")
    _require_overrides(overrides)
    require_kind_if_given("scalesim_cfg", scalesim_cfg, PATHS, "a path")
    require_kind("skip_unsupported", skip_unsupported, bool, "True or False")
    require_kind_if_given("sizes", sizes, Sizes, "a Sizes, such as Sizes(dims={'length': 128})")
    require_kind_if_given("tensors", tensors, Tensors, "a Tensors, such as Tensors('fashion_mnist_1000')")
    require_callable("progress", progress, _PROGRESS)
    if mac is not None:
        require_priced_variants("mac", mac, arch, overrides)
    return view(
        simulation.simulate(
            network,
            arch,
            mac=None if mac is None else mac_setting(mac),
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


@in_python_terms(_ARGUMENTS | _OF_IMAGES)
def compare(
    network: str | Path,
    *,
    macs: Sequence[MacChoice] = (),
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
        macs: MACs of every PE; see `MacChoice`.
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
    from simulator.sweep import side_by_side

    require_kind("network", network, PATHS, _PATH)
    network = path_text(network, what="a network")
    _require_several("macs", macs, "['int8', 'elma8']")
    _require_several("archs", archs, "['int8_32x32']")
    for arch in archs:
        require_kind("archs", arch, PATHS, f"a list, each {_PATH}")
    _require_overrides(overrides)
    require_kind_if_given("tensors", tensors, Tensors, "a Tensors, such as Tensors('fashion_mnist_1000')")
    require_callable("progress", progress, _PROGRESS)
    for arch in archs:
        for place, mac in enumerate(macs):
            require_priced_variants(f"macs[{place}]", mac, arch, overrides)
    spread = _spread(jobs, dask, store)
    if tensors is None and (dask is not None or store is not None):
        raise UserError("dask and store are for networks that run on images: give tensors")
    if tensors is not None:
        from simulator.spread_inference.variant_runs import compare_on_images

        runs, _ = compare_on_images(
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
        jobs=jobs,
        progress=progress,
    )
    return _shown(runs)


def _require_several(field: str, given: object, example: str) -> None:
    """Refuse a single one: text would be taken letter by letter."""
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise UserError("is not a list", location=field, value=given, allowed=f"a list, such as {example}")


def _require_overrides(given: object) -> None:
    """Refuse what is no mapping of dotted names."""
    allowed = "a mapping such as {'sram.ifmap.capacity_kib': 64}"
    require_kind_if_given("overrides", given, Mapping, allowed)
    for field in given if isinstance(given, Mapping) else ():
        require_kind("overrides", field, str, f"{allowed}, whose keys are names of fields")


def _spread(jobs: int | None, dask: str | None, store: str | Path | None) -> Spread:
    from simulator.spread_inference.spread_options import Spread

    require_kind_if_given("dask", dask, str, "tcp://HOST:PORT, HOST:PORT, or a scheduler file")
    require_kind_if_given("store", store, PATHS, "the path of a folder")
    return Spread(jobs, dask, None if store is None else Path(store))


def _shown(runs: VariantRuns) -> ComparisonView:
    if runs.failures:
        raise UserError("; ".join(f"{name}: {problem}" for name, problem in runs.failures.items()))
    return ComparisonView(runs.results)


@in_python_terms(_ARGUMENTS)
def infer(
    model: str | Path,
    data: str | Path,
    *,
    mac: MacChoice = "int8",
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
        data: a bundled name, a folder or table of images, or arrays (docs/data.md).
        mac: the MAC of every layer; see `MacChoice`.
        policy: how the network gets its formats (docs/inference.md); None: as the MAC needs.
        images: only the first so many; None: all.
        preprocess: what is done to pixels (docs/data.md); None: what suits the data.
        labels: where classes of image files come from (docs/data.md); None: what there is.
        device: `cpu` or `gpu` (docs/gpu.md); the result's bits are the same.
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

    require_kind("model", model, PATHS, _PATH)
    require_kind("data", data, PATHS, _PATH)
    require_bundled_variants("mac", mac)
    for name, text in (("policy", policy), ("preprocess", preprocess), ("labels", labels)):
        require_kind_if_given(name, text, str, "text")
    require_callable("progress", progress, _PROGRESS)
    where = chosen_device(device)
    spread = _spread(jobs, dask, store)
    if spread.is_asked:
        from simulator.spread_inference.opened_source import InferenceSource
        from simulator.spread_inference.planning import Arithmetic
        from simulator.spread_inference.spread_run import infer_spread

        if where is not None:
            raise UserError("a GPU works in one process: leave out jobs, dask and store", location="device")
        source = InferenceSource(
            path_text(model, what="a model"), path_text(data, what="data"), images, None, preprocess, labels
        )
        return infer_spread(source, Arithmetic.of(mac, policy), spread, progress=progress)[1]
    network = inference.load_model(model)
    chosen = inference.load_data(data, network, preprocess=preprocess, labels=labels).first(images)
    return inference.infer(network, chosen, mac, policy, device=where)
