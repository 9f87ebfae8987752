"""What a PyTorch model multiplies while it runs, recorded by the operators that PyTorch dispatches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from tools.zoo.products import Product, Products

Arguments = Sequence[Any]


def _two_matrices(first: int) -> Callable[[Arguments, Any], Product]:
    """The operands stand at `first` and behind it: (..., M, K) and (..., K, N)."""

    def product(arguments: Arguments, _result: Any) -> Product:
        left, right = arguments[first], arguments[first + 1]
        return Product(prod(left.shape[:-2]), left.shape[-2], right.shape[-1], left.shape[-1])

    return product


def _matrix_vector(first: int) -> Callable[[Arguments, Any], Product]:
    def product(arguments: Arguments, _result: Any) -> Product:
        rows, k = arguments[first].shape
        return Product(1, rows, 1, k)

    return product


def _dot(arguments: Arguments, _result: Any) -> Product:
    return Product(1, 1, 1, arguments[0].numel())


def _linear(arguments: Arguments, _result: Any) -> Product:
    rows, weights = arguments[:2]
    return Product(1, prod(rows.shape[:-1]), weights.shape[0], weights.shape[1])


def _convolution(arguments: Arguments, result: Any) -> Product:
    """Transposed: each input pixel times all of its filters' taps, whose overlapping results are added."""
    ifmap, weights = arguments[:2]
    is_transposed, groups = arguments[6], arguments[8]
    if is_transposed:
        pixels = ifmap.shape[0] * prod(ifmap.shape[2:])
        return Product(groups, pixels, prod(weights.shape[1:]), weights.shape[0] // groups)
    pixels = result.shape[0] * prod(result.shape[2:])
    return Product(groups, pixels, weights.shape[0] // groups, prod(weights.shape[1:]))


RULES: Mapping[str, Callable[[Arguments, Any], Product]] = {
    "aten.mm.default": _two_matrices(0),
    "aten.bmm.default": _two_matrices(0),
    "aten.addmm.default": _two_matrices(1),
    "aten.baddbmm.default": _two_matrices(1),
    "aten.mv.default": _matrix_vector(0),
    "aten.addmv.default": _matrix_vector(1),
    "aten.dot.default": _dot,
    "aten.linear.default": _linear,
    "aten.convolution.default": _convolution,
}
"""How each product among PyTorch's operators gives its sizes."""

SUSPECTS = ("mm", "conv", "linear", "attention", "rnn", "lstm", "gru", "dot", "mv", "matmul", "einsum")
HARMLESS = frozenset(
    {"upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "_upsample_bilinear2d_aa"}
)
"""Operators whose names look like a product's and that multiply nothing with anything learned or computed."""


class UnknownProductError(Exception):
    """An operator that may be a product and that `RULES` does not know."""


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.products: Products = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Arguments = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        rule = RULES.get(str(func))
        name = str(func).split(".")[1]
        if rule is not None:
            self.products[rule(args, result)] += 1
        elif name not in HARMLESS and any(part in name for part in SUSPECTS):
            raise UnknownProductError(f"{func} may be a product, and nobody said what its sizes are")
        return result


@contextmanager
def _every_product_is_an_operator() -> Iterator[None]:
    """Attention and recurrent layers run as the products that they consist of, not as one fused operator."""
    fast_attention = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    # Not `mkldnn.flags`, which sets TF32 too and warns of processors that have none.
    fused_recurrence, *_ = torch.backends.mkldnn.set_flags(_enabled=False)
    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mkldnn.set_flags(_enabled=fused_recurrence)
        torch.backends.mha.set_fastpath_enabled(fast_attention)


def executed(model: Any, inputs: tuple[Any, ...]) -> tuple[Products, int]:
    """The products of one run of a model, and the multiply-accumulates that PyTorch's own counter saw.

    The second number is half of the operations of `torch.utils.flop_counter`, which has formulas of its own.

    Raises:
        UnknownProductError: an operator that may be a product and that nobody described.
    """
    with _every_product_is_an_operator():
        recorder, counter = _Recorder(), FlopCounterMode(display=False)
        with recorder, counter:
            model(*inputs)
    return recorder.products, counter.get_total_flops() // 2
