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
        jobs: processes to run on; None: one a core.
        progress: called after every variant.

    Raises:
        UserError: anything given that cannot be used, every variant that failed named in one message.
    """
    from simulator.sweep import side_by_side

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
) -> InferenceResult:
    """Accuracy of a trained network through a MAC's arithmetic, and every layer's distance from float32.

    `data`, `preprocess` and `labels` are as in `load_data` (docs/data.md).

    Raises:
        UserError: a model, images, labels, MAC or policy that cannot be used.
    """
    from simulator import inference

    network = inference.load_model(model)
    chosen = inference.load_data(data, network, preprocess=preprocess, labels=labels).first(images)
    return inference.infer(network, chosen, mac, policy)
