"""`simulate` and `infer` for PyTorch modules, with the results that they have for files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import gcd
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from simulator import simulation
from simulator.arch import ArchConfig
from simulator.foundation import UserError
from simulator.foundation.callbacks import Progress
from simulator.inference.images import Data, DataFacts, Images, StreamedImages
from simulator.inference.inputs import Feed, Inputs
from simulator.inference.model import Model, model_of
from simulator.inference.run_inference import InferenceResult, MacChoice, PolicyChoice, plan_network, run_plan
from simulator.mac_arguments import require_bundled_variants, require_priced_variants
from simulator.notebook_views import ResultView, view
from simulator.numerics.mac_setting import mac_setting
from simulator.pytorch.exporter import ExportedModule, export_module
from simulator.pytorch.module_inputs import ModuleData, ModuleInputs, host_array, module_data
from simulator.pytorch.module_modes import bare_module
from simulator.pytorch.quantized_layers import LayerScales, layer_scales
from simulator.pytorch.scaled_plan import plan_with_scales
from simulator.simulation import DEFAULT_ARCH
from simulator.workload import Network
from simulator.workload.batching import with_batch
from simulator.workload.onnx import Sizes, network_of

_EXAMPLE_ROWS: Final = 2
"""Rows of the example that inference exports with: one row alone would fix the batch at one."""


def simulate(
    module: torch.nn.Module,
    example_inputs: Any,
    arch: str | Path | ArchConfig = DEFAULT_ARCH,
    *,
    mac: MacChoice | None = None,
    dataflow: str | None = None,
    batch: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    scalesim_cfg: str | Path | None = None,
    skip_unsupported: bool = False,
    sizes: Sizes | None = None,
    dynamic_shapes: Any = None,
    progress: Progress | None = None,
) -> ResultView:
    """Cycles, latency, power, energy and area of a PyTorch module on an architecture.

    The module is taken in evaluation mode, whichever it is in, and stays as it is. Its weights are not copied
    and need no values (device `meta`).

    Args:
        module: any module that `torch.onnx.export` takes.
        example_inputs: what it is called with: a tensor or array, a tuple of arguments, or a mapping of
            arguments by name. Their shapes are the sizes that are simulated.
        arch: as in `simulator.api.simulate`, and so are the other arguments up to `overrides`.
        mac: see `arch`.
        dataflow: see `arch`.
        batch: inferences at once, in place of those in the examples.
        overrides: see `arch`.
        scalesim_cfg: see `arch`.
        skip_unsupported: leave out operators that cannot be simulated.
        sizes: of dimensions that `dynamic_shapes` leaves open, in place of the examples', and which dimension
            is the batch.
        dynamic_shapes: as `torch.onnx.export` has it.
        progress: called after every layer.

    Raises:
        UserError: a module that the exporter refuses, or anything given that cannot be used.
    """
    if mac is not None:
        require_priced_variants("mac", mac, arch, overrides)
    exported = export_module(module, ModuleInputs.of(example_inputs), dynamic_shapes=dynamic_shapes)
    network = _network(exported, sizes, skip_unsupported=skip_unsupported)
    return view(
        simulation.simulate(
            network if batch is None else with_batch(network, batch),
            arch,
            mac=None if mac is None else mac_setting(mac),
            dataflow=dataflow,
            overrides=overrides,
            scalesim_cfg=scalesim_cfg,
            progress=progress,
        )
    )


def _network(exported: ExportedModule, sizes: Sizes | None, *, skip_unsupported: bool) -> Network:
    chosen = sizes or Sizes()
    dims = {name: size for name, size in exported.dims.items() if name not in chosen.dims}
    network = network_of(
        exported.source,
        f"PyTorch module {exported.name} in evaluation mode, exported by PyTorch {torch.__version__}",
        skip_unsupported=skip_unsupported,
        sizes=replace(chosen, dims={**dims, **chosen.dims}),
    )
    return replace(network, notes=(*exported.notes, *network.notes))


def infer(
    module: torch.nn.Module,
    data: Any,
    *,
    mac: MacChoice | None = None,
    policy: PolicyChoice = None,
    labels: Any = None,
    calibration: Any = None,
    images: int | None = None,
    scales: Mapping[str, LayerScales] | None = None,
    dynamic_shapes: Any = None,
) -> InferenceResult:
    """Accuracy of a PyTorch module through a MAC's arithmetic, and every layer's distance from float32.

    Args:
        module: any module that `torch.onnx.export` takes. It is taken in evaluation mode, whichever it is in,
            and stays as it is. Its parameters are read where they are.
        data: see `module_data`; the module gets values as they are. Loaders are read once, into memory.
        mac: the MAC of every layer; None: that of `scales`, else `int8`.
        policy: as in `simulator.api.infer`.
        labels: one class for each row, where `data` brings none.
        calibration: rows to calibrate with, in the forms of `data`; None: the first 128 rows.
        images: only the first so many rows.
        scales: of layers whose formats and scales are known (`layer_scales`); None: those of the module's own
            fake-quantized layers, unless a policy is given.
        dynamic_shapes: as `torch.onnx.export` has it; None: the first axis of every input is open, where the
            module allows it.

    Raises:
        UserError: a module that the exporter refuses, data or labels that do not fit, or anything else given
            that cannot be used.
    """
    if mac is not None:
        require_bundled_variants("mac", mac)
    module = bare_module(module)
    rows = module_data(data, labels, most=images)
    known = None if calibration is None else module_data(calibration)
    counts = [len(each) for each in (rows, known) if each is not None]
    model, notes, calls = _model(module, rows, gcd(_EXAMPLE_ROWS, *counts), dynamic_shapes)
    chosen = _data(rows, known, model, notes)
    own = layer_scales(module)
    if scales is None and policy is None and own:
        scales = own
    if not scales:
        if own:
            chosen.facts.notes["scales"] = f"scales of {len(own)} fake-quantized layers are not used"
        return run_plan(model, chosen, plan_network(model, chosen, mac or "int8", policy))
    plan = plan_with_scales(model, chosen, module, scales, calls, mac, policy)
    return run_plan(model, chosen, plan)


def _model(
    module: torch.nn.Module, rows: ModuleData, at_once: int, dynamic_shapes: Any
) -> tuple[Model, dict[str, str], Mapping[str, str]]:
    """The module ready to be executed; where it fixes its batch, for `at_once` rows.

    With it come notes, and the modules whose calls its layers are.
    """
    few = min(len(rows), _EXAMPLE_ROWS)
    example = rows.rows(0, few)
    if few < _EXAMPLE_ROWS:
        example = example.mapped(lambda tensor: torch.cat([tensor] * _EXAMPLE_ROWS))
    if dynamic_shapes is not None:
        exported = export_module(module, example, dynamic_shapes=dynamic_shapes)
        return model_of(exported.source), _notes(exported), exported.calls
    open_shapes = _open(module, example)
    try:
        exported = export_module(module, example, dynamic_shapes=open_shapes)
        model = model_of(exported.source)
        if model.run_size is None:
            return model, _notes(exported), exported.calls
        reason = "another number of rows has no result, one of another shape, or other weights"
    except UserError as refused:
        reason = refused.problem
    try:
        exported = export_module(module, rows.rows(0, at_once))
    except UserError:
        if at_once == _EXAMPLE_ROWS:
            raise
        at_once = _EXAMPLE_ROWS  # whoever runs it says that rows must be a multiple
        exported = export_module(module, example)
    fixed = f"rows go through {at_once} at a time, as the batch is fixed: {reason}"
    return model_of(exported.source), {"batch": fixed, **_notes(exported)}, exported.calls


def _notes(exported: ExportedModule) -> dict[str, str]:
    return {f"export {place}": note for place, note in enumerate(exported.notes)}


def _open(module: torch.nn.Module, example: ModuleInputs) -> Any:
    try:
        return example.open_first_axes(module)
    except TypeError as error:  # as `inspect.Signature.bind` says it
        raise UserError(
            f"cannot be called with these inputs: {error}", source=type(module).__name__, location="data"
        ) from error


def _data(rows: ModuleData, calibration: ModuleData | None, model: Model, notes: dict[str, str]) -> Data:
    labels_from = "" if rows.labels is None else "given with the data"
    facts = DataFacts("", labels_from, notes)
    feed = _feed(rows.inputs, model, rows.source)
    known = None if calibration is None else _feed(calibration.inputs, model, "calibration")
    of_calibration = None if calibration is None else calibration.labels
    if isinstance(feed, Inputs) or isinstance(known, Inputs):
        return StreamedImages(rows.source, feed, facts, rows.labels, known, of_calibration)
    return Images(rows.source, feed, rows.labels, known, of_calibration, facts)


def _feed(inputs: ModuleInputs, model: Model, source: str) -> Feed:
    """Values of every input, in the order in which the module takes them."""
    tensors = inputs.tensors
    if len(tensors) != len(model.inputs):
        raise UserError(
            "has another number of tensors than the module takes",
            source=source,
            value=len(tensors),
            allowed=str(len(model.inputs)),
        )
    arrays = {
        tensor.name: _array(values, source, tensor.name)
        for tensor, values in zip(model.inputs, tensors, strict=True)
    }
    return Inputs(arrays) if len(arrays) > 1 else next(iter(arrays.values()))


def _array(values: torch.Tensor, source: str, name: str) -> NDArray[Any]:
    array = host_array(values)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise UserError("holds NaN or infinity", source=source, location=name)
    return array
