"""Products that a fake-quantized module computes from operands that nothing rounded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from simulator.pytorch.module_calls import call_module
from simulator.pytorch.module_inputs import ModuleInputs
from simulator.pytorch.module_modes import bare_module
from simulator.pytorch.quantized_layers import is_quantized

_PRODUCTS: Final = frozenset(
    (
        "_cdist_forward",
        "_cudnn_rnn",
        "_efficient_attention_forward",
        "_flash_attention_forward",
        "_grouped_mm",
        "_int_mm",
        "_native_multi_head_attention",
        "_scaled_dot_product_attention_math",
        "_scaled_dot_product_cudnn_attention",
        "_scaled_dot_product_efficient_attention",
        "_scaled_dot_product_flash_attention",
        "_scaled_dot_product_flash_attention_for_cpu",
        "_scaled_dot_product_fused_attention_overrideable",
        "_scaled_mm",
        "_thnn_conv2d",
        "_transformer_encoder_layer_fwd",
        "_trilinear",
        "addbmm",
        "addmm",
        "addmv",
        "addr",
        "baddbmm",
        "bmm",
        "convolution",
        "convolution_overrideable",
        "cudnn_convolution",
        "dot",
        "linear",
        "miopen_convolution",
        "mkldnn_convolution",
        "mkldnn_rnn_layer",
        "mm",
        "mv",
        "vdot",
    )
)
"""PyTorch's operators that sum products, below its composite ones (`einsum` and `matmul` become these)."""


def float32_products(module: torch.nn.Module, example_inputs: Any) -> list[str]:
    """The products of a run that no fake-quantized layer computes, as `module.path: operator`.

    The module is run once, in evaluation mode. Found are functional calls (`functional.linear`, `@`,
    attention), recurrent and transposed layers, and layers that `quantized` left as they are. Sums of
    products that are written element by element (`(a * b).sum()`) are not found.

    Args:
        module: usually from `quantized`.
        example_inputs: as `simulate` takes them.

    Raises:
        UserError: no module, or one that cannot be run on these inputs.
    """
    bare = bare_module(module)
    recorder = _Recorder()
    with _paths(bare, recorder), recorder:
        call_module(bare, ModuleInputs.of(example_inputs), "these inputs")
    return list(recorder.found)


class _Recorder(TorchDispatchMode):
    """Keeps the products that are run outside fake-quantized layers, by the module that runs them."""

    def __init__(self) -> None:
        super().__init__()
        self.running: list[tuple[str, torch.nn.Module]] = []
        self.found: dict[str, None] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        del types
        name, *_ = func._schema.name.split("::")[-1].split(".")
        path, module = self.running[-1] if self.running else ("", None)
        if name in _PRODUCTS and not is_quantized(module):
            self.found.setdefault(f"{path}: {name}" if path else name)
        return func(*args, **(kwargs or {}))


@contextmanager
def _paths(module: torch.nn.Module, recorder: _Recorder) -> Iterator[None]:
    """While this lasts, the recorder knows which submodule runs."""

    def enter(path: str) -> Any:
        return lambda each, _: recorder.running.append((path, each))

    hooks = []
    for path, each in module.named_modules():
        hooks.append(each.register_forward_pre_hook(enter(path), prepend=True))
        hooks.append(each.register_forward_hook(lambda *_: recorder.running.pop() and None, always_call=True))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
