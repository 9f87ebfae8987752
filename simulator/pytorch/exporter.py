"""From a PyTorch module to the graph that simulation and inference share, through PyTorch's own exporter."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.foundation.messages import one_line
from simulator.pytorch import fake_quantization
from simulator.pytorch.module_inputs import ModuleInputs, host_array
from simulator.pytorch.module_modes import in_evaluation_mode, require_module
from simulator.workload.onnx import Source, source_of

_SMALL: Final = 128
"""Initializers of so few elements travel in the message; larger ones stay where the module has them."""

_NAMED: Final = frozenset(
    ("Attention", "Conv", "ConvTranspose", "Einsum", "Gemm", "GRU", "LSTM", "MatMul", "RNN")
)
_RECURRENT: Final = frozenset(("GRU", "LSTM", "RNN"))
_CONVOLUTIONS: Final = frozenset(("Conv", "ConvTranspose"))
_SPREADING: Final = frozenset(("Cast", "CastLike", "Expand"))
_MOVES: Final = frozenset(("Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"))
_WEIGHT: Final = re.compile(r"[._]?weight$")
_SCOPES: Final = "pkg.torch.onnx.name_scopes"


@dataclass(frozen=True, slots=True)
class ExportedModule:
    """A module as the reader of ONNX has it.

    Attributes:
        source: the graph; weights are read from the module when somebody asks for them.
        name: of the module's class.
        shapes: of the example inputs, by input.
        dims: sizes of the example inputs by the symbols that stand for open dimensions.
        notes: what was taken or assumed, a sentence each.
    """

    source: Source
    name: str
    shapes: Mapping[str, tuple[int, ...]]
    dims: Mapping[str, int]
    notes: tuple[str, ...]


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
    require_module(module)
    name = type(module).__name__
    with in_evaluation_mode(module) as was_training, _quiet():
        program = _exported(module, inputs, dynamic_shapes, name)
    shapes = _example_shapes(program)
    values = _without_values(program.model)
    _adapt_products(program.model.graph)
    message = _message(program.model)
    source = source_of(message, Path(name), all_inputs_are_data=True, values=values)
    notes = (
        (f"{name} was in training mode and is taken in evaluation mode (dropout off, running statistics)",)
        if was_training
        else ()
    )
    return ExportedModule(source, name, shapes, _dims(source, shapes), notes)


def _exported(module: torch.nn.Module, inputs: ModuleInputs, dynamic_shapes: Any, name: str) -> Any:
    try:
        return torch.onnx.export(
            module,
            inputs.positional,
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
            f"PyTorch's exporter refuses the module: {_reason(error)}", source=name, location="module"
        ) from error


def _reason(error: BaseException) -> str:
    """The first cause of an error in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return one_line(f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter logs and warns of: its own code, packages it looked for, traces of errors."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
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
        if tensor is None or tensor.size <= _SMALL:
            continue
        values[name] = partial(_values, tensor)
        value.const_value = ExternalTensor(
            "module", 0, tensor.nbytes, tensor.dtype, shape=tensor.shape, name=name
        )
    return values


def _values(tensor: Any) -> NDArray[Any]:
    """The values of a parameter or buffer; see `host_array`."""
    raw = tensor.raw
    if not isinstance(raw, torch.Tensor):
        return np.asarray(tensor.numpy())
    if raw.is_meta:
        raise UserError("weights have no values on the device meta", location=tensor.name)
    return host_array(raw)


def _message(model: Any) -> Any:
    from onnx_ir import serde

    return serde.serialize_model(model)


def _adapt_products(graph: Any) -> None:
    """Call operators that multiply as the module that has their weights, or that computes them.

    A bias of zeros, which PyTorch writes where a convolution has none, is left out: nobody adds it.
    """
    for node in graph.all_nodes():
        if node.op_type in _NAMED:
            node.name = _layer_name(node)
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


def _layer_name(node: Any) -> str:
    for operand in node.inputs[1:2]:
        stored = _stored(operand)
        if stored is not None and _WEIGHT.search(stored) and node.op_type not in _RECURRENT:
            return _WEIGHT.sub("", stored) or stored
    path, own = _scope(node)
    if node.op_type in _RECURRENT and path:
        return path
    return f"{path}/{own}" if path and own else path or own or str(node.name)


def _stored(value: Any) -> str | None:
    """The initializer that a value holds the elements of, behind operators that only move them."""
    while value is not None and (producer := value.producer()) is not None:
        if producer.op_type not in _MOVES:
            return None
        value = producer.inputs[0]
    return value.name if value is not None and value.is_initializer() else None


def _scope(node: Any) -> tuple[str, str]:
    """The qualified name of the module that an operator belongs to, and PyTorch's name of the call."""
    from ast import literal_eval

    scopes: Sequence[str] = literal_eval(node.metadata_props.get(_SCOPES, "[]"))
    modules = [each for each in scopes[:-1] if each and not each.startswith("_empty_nn_module")]
    return (modules[-1] if modules else ""), (scopes[-1] if scopes else "")
