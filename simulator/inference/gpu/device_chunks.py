"""Chunks of images through a network on a device, several at a time, as the CPU would tell of each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from simulator.inference.chunk_figures import Chunk
from simulator.inference.chunks import chunk_size
from simulator.inference.executable_program import Operator, Program
from simulator.inference.execute import constant_of, each_operator, errors_of
from simulator.inference.gpu.device_layers import DeviceLayers, HostCopies
from simulator.inference.gpu.device_operators import operator_on
from simulator.inference.gpu.run_constants import RunConstants
from simulator.inference.images import Parts
from simulator.inference.inputs import Feed, InputBatches, Inputs
from simulator.inference.layer_products import Product
from simulator.inference.metrics import Deviation
from simulator.inference.model import Model
from simulator.inference.overflow_counts import SumsOutside
from simulator.inference.quantization import NetworkPlan
from simulator.numerics.array_types import Tensor
from simulator.numerics.engines.threads import available_cores, in_order
from simulator.numerics.gpu import Device, DeviceArray

OnDevice = Callable[[Product, DeviceArray, "DeviceArray | None"], DeviceArray]

TOGETHER: Final = 32
"""Chunks of the CPU that go through the device together: it is large, and no figure depends on it."""


class DeviceChunks:
    """A planned network on a device. `copies` say what ran on the host."""

    def __init__(self, device: Device, model: Model, plan: NetworkPlan) -> None:
        self._device = device
        self._model = model
        self._plan = plan
        self.copies = HostCopies()
        self._constants = RunConstants(device)
        self._layers = DeviceLayers(device, self.copies)

    def refusal(self, images: Parts) -> str | None:
        """Why a network runs on the CPU after all; None where the device takes it."""
        model = self._model
        blocked = [layer.mac.name for layer in self._plan.layers.values() if layer.mac.block_formats]
        if blocked:
            return f"the device does not know the block scales of {blocked[0]}"
        if isinstance(images, Inputs | InputBatches) or len(model.inputs) != 1:
            return "it has several inputs"
        if model.run_size is not None:
            return "it runs on a fixed number of images at a time"
        if model.run_axes.get(model.input) != 0:
            return "its images do not come along the first axis"
        return None

    def run(self, images: Parts, seen: Callable[[Feed], None]) -> Iterator[Chunk]:
        """Every chunk that the CPU would make, in order. `seen` is shown the images of each, in order.

        Images are read by threads while the device computes.
        """
        size = chunk_size(self._model, images[:1], self._host_float32)
        starts = range(0, len(images), size)
        parts = in_order(starts, lambda start: images[start : start + size], threads=available_cores())
        waiting: list[Tensor] = []
        for part in parts:
            seen(part)
            assert isinstance(part, np.ndarray)
            waiting.append(part)
            if len(waiting) == TOGETHER:
                yield from self._run(waiting)
                waiting = []
        if waiting:
            yield from self._run(waiting)

    def notes(self) -> dict[str, str]:
        """What ran on the host, in sentences."""
        reasons = self.copies.reasons
        if not reasons:
            return {}
        by_reason: dict[str, list[str]] = {}
        for what, reason in reasons.items():
            by_reason.setdefault(reason, []).append(what)
        said = "; ".join(f"{', '.join(whats)} ({reason})" for reason, whats in by_reason.items())
        return {"device": f"copied from {self._device.name} and computed on the CPU: {said}"}

    def _host_float32(self, product: Product, x: Tensor, second: Tensor | None) -> Tensor:
        device = self._device
        right = None if second is None else device.to_device(second)
        return device.to_host(self._layers.in_float32(product, device.to_device(x), right))

    def _run(self, parts: Sequence[Tensor]) -> Iterator[Chunk]:
        """Some chunks together. All but the last are of one size."""
        model, device, plan = self._model, self._device, self._plan
        sizes = [len(part) for part in parts]
        together = np.concatenate(parts) if len(parts) > 1 else parts[0]
        images = device.to_device(np.ascontiguousarray(together, np.float32))
        expected: dict[str, deque[DeviceArray]] = {}
        found: dict[str, list[Deviation]] = {}
        outside: dict[str, SumsOutside] = {}
        engines: dict[str, str] = {}

        def in_float32(product: Product, x: DeviceArray, second: DeviceArray | None) -> DeviceArray:
            values = self._layers.in_float32(product, x, second)
            expected.setdefault(product.name, deque()).append(values)
            return values

        def in_formats(product: Product, x: DeviceArray, second: DeviceArray | None) -> DeviceArray:
            layer = plan.layers[product.name]
            output = self._layers.in_formats(product, layer, x, second)
            reference = expected[product.name].popleft()
            parts_of = self._deviations(reference, output.values, sizes)
            # Counts do not depend on the order that they are added in: the first chunk has all of them.
            parts_of[0] = replace(
                parts_of[0],
                saturated=output.saturated,
                underflowed=output.underflowed,
                elements=output.elements,
            )
            before = found.get(product.name)
            found[product.name] = (
                parts_of if before is None else [a + b for a, b in zip(before, parts_of, strict=True)]
            )
            outside[product.name] = outside.get(product.name, SumsOutside()) + output.outside
            engines[product.name] = output.engine
            return output.values

        reference = self._walk(images, in_float32)
        outputs = self._walk(images, in_formats)
        start = 0
        for number, (part, size) in enumerate(zip(parts, sizes, strict=True)):
            here = slice(start, start + size)
            start += size
            yield Chunk(
                size,
                part,
                {name: outputs[name][here] for name in model.outputs},
                {name: reference[name][here] for name in model.outputs},
                {name: each[number] for name, each in found.items()},
                {name: each if not number else SumsOutside() for name, each in outside.items()},
                engines,
            )

    def _deviations(
        self, reference: DeviceArray, values: DeviceArray, sizes: Sequence[int]
    ) -> list[Deviation]:
        """Of each chunk, summed in the order of the CPU. The first axis runs over all images."""
        device, xp = self._device, self._device.xp
        a, b = (xp.ascontiguousarray(each).reshape(-1) for each in (reference, values))
        an_image = a.size // sum(sizes)
        sums = xp.zeros((len(sizes), 5), np.float64)
        equal = len(sizes) if sizes[-1] == sizes[0] else len(sizes) - 1
        self._differences(a, b, sums[:equal], equal, sizes[0] * an_image)
        if equal < len(sizes):
            start = equal * sizes[0] * an_image
            self._differences(a[start:], b[start:], sums[equal:], 1, sizes[-1] * an_image)
        return [Deviation(*row) for row in device.to_host(sums).tolist()]

    def _differences(
        self, reference: DeviceArray, values: DeviceArray, sums: DeviceArray, parts: int, size: int
    ) -> None:
        self._device.launch("differences", (parts, 1, 1), 16, (reference, values, sums, np.int64(size)))

    def _walk(self, images: DeviceArray, arithmetic: OnDevice) -> dict[str, Tensor]:
        """`execute_outputs` with tensors that stay on the device; the outputs are on the host."""
        model, device = self._model, self._device
        program = model.program_for({model.input: tuple(images.shape)})
        values: dict[str, Any] = {model.input: images}
        for operator in each_operator(program, values, model.outputs):
            with errors_of(operator, model):
                results = self._results(operator, values, program, arithmetic)
            values |= results
        return {
            name: device.to_host(values[name])
            if name in values
            else constant_of(name, program, model).values()
            for name in model.outputs
        }

    def _results(
        self, operator: Operator, values: Mapping[str, Any], program: Program, arithmetic: OnDevice
    ) -> dict[str, Any]:
        device = self._device
        if operator.product is not None:
            second = None
            if operator.product.weights is None:
                second = self._tensor(operator.inputs[1], values, program)
            x = self._tensor(operator.inputs[0], values, program)
            return {operator.outputs[0]: arithmetic(operator.product, x, second)}
        constants = [
            program.constants[name].values() if name and name not in values else None
            for name in operator.inputs
        ]
        inputs = [self._tensor(name, values, program) if name else None for name in operator.inputs]
        own = operator_on(device, operator, inputs, constants)
        if own is not None:
            return {operator.outputs[0]: own}
        assert operator.evaluate is not None
        self.copies.note(operator.kind, "the device has no such operator with the CPU's bits")
        host = [None if each is None else device.to_host(each) for each in inputs]
        with np.errstate(all="ignore"):
            outputs = operator.evaluate(host)
        results = zip(operator.outputs, outputs, strict=False)
        return {name: device.to_device(np.asarray(each)) for name, each in results if name}

    def _tensor(self, name: str, values: Mapping[str, Any], program: Program) -> DeviceArray:
        if name in values:
            return values[name]
        constant = constant_of(name, program, self._model)
        return self._constants.get(id(constant), constant.values)
