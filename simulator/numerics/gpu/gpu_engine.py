"""The device as an engine of matrix products, and products of arrays that lie on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.foundation import UserError
from simulator.numerics.engines.planner import MatmulResult, multiply
from simulator.numerics.engines.problem import Answer, Engine, Problem, Refusal, refusal_without_nan
from simulator.numerics.engines.registered import ENGINES
from simulator.numerics.formats import Format
from simulator.numerics.gpu.device import Device
from simulator.numerics.gpu.device_sums import DeviceSums, Operand, multiply_batches
from simulator.numerics.mac import Mac

NAME = "gpu"
"""How results call the engine."""


def multiply_on(
    device: Device,
    mac: Mac,
    a_codes: npt.ArrayLike,
    w_codes: npt.ArrayLike,
    initial: npt.ArrayLike | None = None,
) -> MatmulResult:
    """`simulator.numerics.multiply` on a device; what has no kernel runs on the CPU, and `reason` says so.

    Raises:
        UserError: as `multiply`.
    """
    refused: list[str] = []

    def attempt(problem: Problem) -> Answer | Refusal:
        answer = _attempt(device, problem)
        if isinstance(answer, Refusal):
            refused.append(answer.reason)
        return answer

    result = multiply(mac, a_codes, w_codes, initial, engines=(Engine(NAME, attempt), *ENGINES))
    if not refused:
        return result
    return replace(result, reason=f"{result.reason}; on the CPU, since {refused[0]}")


def multiply_device_arrays(device: Device, mac: Mac, a_codes: Any, w_codes: Any) -> DeviceSums:
    """Accumulators [M, N] of codes [M, K] and [K, N] that lie on the device; so do the accumulators.

    Arrays of any library with `__cuda_array_interface__` (PyTorch's CUDA tensors) are taken without a copy.
    Results are CuPy's, which `torch.from_dlpack` takes without one. Codes are not checked: integers in their
    formats' dtypes and, for float accumulators without NaN, finite.

    Raises:
        UserError: dtypes or shapes that do not fit, or a MAC without a kernel.
    """
    a = _matrix(device, a_codes, mac.activation, "activations [M, K]")
    w = _matrix(device, w_codes, mac.weight, "weights [K, N]")
    if a.shape[1] != w.shape[0]:
        raise UserError(
            "shapes do not match for a matrix product",
            value=f"activations {list(a.shape)}, weights {list(w.shape)}",
            allowed="[M, K] and [K, N]",
        )
    found = multiply_batches(device, mac, Operand(a[None], "activation"), Operand(w[None], "weight"))
    if isinstance(found, Refusal):
        raise UserError(f"MAC {mac.name!r} has no kernel for this product: {found.reason}")
    signs = None if found.overflow is None else found.overflow[0]
    return DeviceSums(found.accumulators[0], signs, found.reason)


def _matrix(device: Device, codes: Any, fmt: Format, what: str) -> Any:
    array = device.to_device(codes)
    if array.ndim != 2 or array.dtype.kind not in "iu" or array.dtype.itemsize != fmt.code_dtype.itemsize:
        raise UserError(
            f"{what} are not codes of {fmt.spec}",
            value=f"{array.dtype} {list(array.shape)}",
            allowed=f"two dimensions of {fmt.code_dtype}",
        )
    return array.view(fmt.code_dtype)


def _attempt(device: Device, problem: Problem) -> Answer | Refusal:
    if (refused := refusal_without_nan(problem)) is not None:
        return refused
    a, w = (device.to_device(np.ascontiguousarray(each))[None] for each in (problem.a, problem.w))
    start = None
    if problem.initial is not None:
        if problem.initial.dtype == object:
            return Refusal("no kernel has a register of more than 64 bits")
        start = device.to_device(np.ascontiguousarray(problem.initial))[None]
    found = multiply_batches(device, problem.mac, Operand(a, "activation"), Operand(w, "weight"), start)
    if isinstance(found, Refusal):
        return found
    signs = None if found.overflow is None else device.to_host(found.overflow[0])
    return Answer(device.to_host(found.accumulators[0]), f"{found.reason}, on {device.name}", signs)
