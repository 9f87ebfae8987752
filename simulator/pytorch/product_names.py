"""Names of a module's products in the exported graph, and the modules whose calls they are."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch

PRODUCTS_BY_NAME: Final = frozenset(
    ("Attention", "Conv", "ConvTranspose", "Einsum", "Gemm", "GRU", "LSTM", "MatMul", "RNN")
)
"""Operators of ONNX that are called as modules are."""
_RECURRENT: Final = frozenset(("GRU", "LSTM", "RNN"))
_MOVES: Final = frozenset(("Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"))
_WEIGHT: Final = re.compile(r"[._]?weight$")
_SCOPES: Final = "pkg.torch.onnx.name_scopes"


def name_products(graph: Any, module: torch.nn.Module) -> Mapping[str, str]:
    """Call operators that multiply as the module that has their weights, or that computes them.

    Args:
        graph: of the exporter; its nodes are renamed.
        module: whose graph it is.

    Returns:
        By product, the qualified name of the module whose `weight` it multiplies with and whose call it is.
        Modules with several names have the first of them, as `named_modules` gives it.
    """
    stored_as = _names_of_stored(module)
    modules = dict(module.named_modules(remove_duplicate=False))
    first_names = {id(each): name for name, each in module.named_modules()}
    taken: set[str] = set()
    calls: dict[str, str] = {}
    for node in graph.all_nodes():
        if node.op_type not in PRODUCTS_BY_NAME:
            continue
        path, own = _scope(node)
        names = () if node.op_type in _RECURRENT else _weight_names(node, stored_as)
        name = _name(node, path, own, names)
        if node.op_type not in _RECURRENT:
            name = _unique(name, taken)
        node.name = name
        taken.add(name)
        if path in modules and f"{path}.weight".lstrip(".") in names:
            calls[name] = first_names[id(modules[path])]
    return calls


def _names_of_stored(module: torch.nn.Module) -> dict[str, list[str]]:
    """All names of the parameter or buffer that has a name; tied ones have several."""
    tensors = [
        *module.named_parameters(remove_duplicate=False),
        *module.named_buffers(remove_duplicate=False),
    ]
    by_tensor: dict[int, list[str]] = defaultdict(list)
    for name, tensor in tensors:
        by_tensor[id(tensor)].append(name)
    return {name: by_tensor[id(tensor)] for name, tensor in tensors}


def _name(node: Any, path: str, own: str, weights: Sequence[str]) -> str:
    if weights:
        inside = [name for name in weights if name.startswith(f"{path}." if path else "")]
        chosen = (inside or weights)[0]
        owner = _WEIGHT.sub("", chosen)
        return owner or own or chosen
    if node.op_type in _RECURRENT and path:
        return path
    return f"{path}/{own}" if path and own else path or own or str(node.name)


def _unique(name: str, taken: set[str]) -> str:
    """The name, or with the number of the call behind it, as layers of a file get it."""
    candidate, copy = name, 2
    while candidate in taken:
        candidate, copy = f"{name}_{copy}", copy + 1
    return candidate


def _weight_names(node: Any, stored_as: Mapping[str, list[str]]) -> Sequence[str]:
    """Every name of the parameter called `weight` that a product multiplies with."""
    for operand in node.inputs[1:2]:
        stored = _stored(operand)
        if stored is not None:
            return [name for name in stored_as.get(stored, [stored]) if _WEIGHT.search(name)]
    return ()


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
