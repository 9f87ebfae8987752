"""From a PyTorch module to the graph that simulation and inference share, through PyTorch's own exporter."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, replace
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.pytorch import fake_quantization
from simulator.pytorch.module_calls import first_reason
from simulator.pytorch.module_inputs import ModuleInputs, host_array
from simulator.pytorch.module_modes import bare_module, device_of, in_evaluation_mode
from simulator.pytorch.product_names import PRODUCTS_BY_NAME, name_products
from simulator.workload.onnx import Source, source_of

_SMALL: Final = 128
"""Initializers of so few elements travel in the message; larger ones stay where the module has them."""

_CONVOLUTIONS: Final = frozenset(("Conv", "ConvTranspose"))
_SPREADING: Final = frozenset(("Cast", "CastLike", "Expand"))


@dataclass(frozen=True, slots=True)
class ExportedModule:
    """A module as the reader of ONNX has it.

    Attributes:
        source: the graph; weights are read from the module when somebody asks for them.
        name: of the module's class.
        shapes: of the example inputs, by input.
        dims: sizes of the example inputs by the symbols that stand for open dimensions.
        notes: what was taken or assumed, a sentence each.
        calls: by layer, the qualified name of the module whose `weight` it multiplies with.
    """

    source: Source
    name: str
    shapes: Mapping[str, tuple[int, ...]]
    dims: Mapping[str, int]
    notes: tuple[str, ...]
    calls: Mapping[str, str]


def export_module(
    module: torch.nn.Module, inputs: ModuleInputs, *, dynamic_shapes: Any = None
) -> ExportedModule:
    """A module as `torch.onnx.export(dynamo=True)` sees it in evaluation mode, in memory.

    The module is put into evaluation mode while it is exported; afterwards every submodule is in the mode in
    which it was. Weights are not copied. Layers are called by the qualified names of their modules. Fake
    quantization (`FakeQuantize`) is left out: who reads the graph puts it into number formats.

    Args:
        module: any module that the exporter takes; weights on the device `meta` do where only shapes are
            used.
        inputs: examples of what it is called with.
        dynamic_shapes: which of their dimensions stay open, as `torch.onnx.export` has it; None: none.

    Raises:
        UserError: no module, or one that the exporter refuses, with its reason.
    """
    module = bare_module(module)
    name = type(module).__name__
    inputs = inputs.on_device(device_of(module))
    inputs.require_dense("example_inputs")
    with in_evaluation_mode(module) as was_training, _quiet(), _tensor_outputs(module) as left_out:
        program = _exported(module, inputs, dynamic_shapes, name)
    shapes = _example_shapes(program)
    values = _without_values(program.model)
    calls = name_products(program.model.graph, module)
    _leave_out_zero_biases(program.model.graph)
    message = _message(program.model)
    source = _with_names(source_of(message, Path(name), all_inputs_are_data=True, values=values))
    notes = []
    if was_training:
        notes.append(
            f"{name} was in training mode and is taken in evaluation mode (dropout off, running statistics)"
        )
    if left_out:
        notes.append(f"results of {name} that are no tensors are left out: {', '.join(sorted(left_out))}")
    return ExportedModule(source, name, shapes, _dims(source, shapes), tuple(notes), calls)


@contextmanager
def _tensor_outputs(module: torch.nn.Module) -> Iterator[set[str]]:
    """Only the tensors of what a module gives; the types of the rest are in the set afterwards."""
    left_out: set[str] = set()
    if isinstance(module, torch.jit.ScriptModule):  # takes no hooks, and is refused by the exporter
        yield left_out
        return

    def keep_tensors(_: Any, __: Any, results: Any) -> Any:
        leaves = torch.utils._pytree.tree_leaves(results)
        others = [leaf for leaf in leaves if leaf is not None and not isinstance(leaf, torch.Tensor)]
        left_out.update(type(leaf).__name__ for leaf in others)
        tensors = tuple(leaf for leaf in leaves if isinstance(leaf, torch.Tensor))
        return tensors if others and tensors else results

    hook = module.register_forward_hook(keep_tensors)
    try:
        yield left_out
    finally:
        hook.remove()


def _exported(module: torch.nn.Module, inputs: ModuleInputs, dynamic_shapes: Any, name: str) -> Any:
    try:
        return torch.onnx.export(
            module,
            # Behind an empty mapping, a last argument that is a mapping is not taken for keywords.
            (*inputs.positional, {}) if not inputs.keywords else inputs.positional,
            kwargs=dict(inputs.keywords),
            dynamo=True,
            optimize=False,
            verbose=False,
            dynamic_shapes=dynamic_shapes,
            custom_translation_table=fake_quantization.exported_as_identity(),
        )
    except ModuleNotFoundError as error:
        raise UserError(
            f"PyTorch's exporter needs {error.name}", allowed="pip install 'systolic-simulator[torch]'"
        ) from error
    except Exception as error:  # the exporter raises many kinds, and the module any
        raise UserError(
            f"PyTorch's exporter refuses the module: {first_reason(error)}", source=name, location="module"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter logs, warns of and prints: its code, packages it looked for, traces."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stderr(StringIO()):  # graphs it gave up are printed there
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _example_shapes(program: Any) -> dict[str, tuple[int, ...]]:
    """Sizes of the example inputs by the names that the graph's inputs have."""
    exported = program.exported_program
    leaves = torch.utils._pytree.tree_leaves(exported.example_inputs)
    names = exported.graph_signature.user_inputs
    return {
        name: tuple(leaf.shape)
        for name, leaf in zip(names, leaves, strict=True)
        if isinstance(leaf, torch.Tensor)
    }


def _dims(source: Source, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """What the symbols of open dimensions are in the examples."""
    dims: dict[str, int] = {}
    for tensor in source.inputs:
        for size, number in zip(tensor.sizes or (), shapes.get(tensor.name, ()), strict=False):
            if isinstance(size, str):
                dims.setdefault(size, number)
    return dims


def _without_values(model: Any) -> dict[str, Callable[[], NDArray[Any]]]:
    """Take the values of large initializers out of a model, and give them as functions."""
    from onnx_ir import ExternalTensor

    values: dict[str, Callable[[], NDArray[Any]]] = {}
    for name, value in model.graph.initializers.items():
        tensor = value.const_value
        if tensor is None or (tensor.size <= _SMALL and not _is_meta(tensor)):
            continue
        values[name] = partial(_values, tensor)
        value.const_value = ExternalTensor(
            "module", 0, tensor.nbytes, tensor.dtype, shape=tensor.shape, name=name
        )
    return values


def _with_names(source: Source) -> Source:
    """Layers called as their nodes; the reader calls them as their weights, which tied layers share."""
    nodes = tuple(
        replace(node, label=node.name) if node.operator in PRODUCTS_BY_NAME else node
        for node in source.body.nodes
    )
    return replace(source, body=replace(source.body, nodes=nodes))


def _is_meta(tensor: Any) -> bool:
    raw = getattr(tensor, "raw", None)
    return isinstance(raw, torch.Tensor) and raw.is_meta


def _values(tensor: Any) -> NDArray[Any]:
    """The values of a parameter or buffer; see `host_array`."""
    raw = tensor.raw
    if not isinstance(raw, torch.Tensor):
        return np.asarray(tensor.numpy())
    if _is_meta(tensor):
        raise UserError("weights have no values on the device meta", location=tensor.name)
    return host_array(raw)


def _message(model: Any) -> Any:
    from onnx_ir import serde

    return serde.serialize_model(model)


def _leave_out_zero_biases(graph: Any) -> None:
    """Take a bias of zeros, which PyTorch writes where a convolution has none, away: nobody adds it."""
    for node in graph.all_nodes():
        if node.op_type in _CONVOLUTIONS and len(node.inputs) > 2 and _is_zero(node.inputs[2]):
            node.replace_input_with(2, None)


def _is_zero(value: Any) -> bool:
    """Whether a tensor is one zero in another type or shape."""
    while value is not None and (producer := value.producer()) is not None:
        if producer.op_type == "Constant":
            constant = producer.attributes.get("value") or producer.attributes.get("value_float")
            return constant is not None and not np.any(
                np.asarray(getattr(constant.value, "raw", constant.value))
            )
        if producer.op_type not in _SPREADING:
            return False
        value = producer.inputs[0]
    return False
