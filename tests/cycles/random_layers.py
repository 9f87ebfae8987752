"""Random small layers on random small accelerators: lengths to 24, arrays to 4 x 4, buffers to 4 KiB."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Any, Literal

from simulator.arch import ArchConfig, load_arch
from simulator.operands import OPERANDS, Operand
from simulator.workload.layer import Convolution, Layer, convolution_layer, matrix_layer

LARGEST = 24


@dataclass(frozen=True)
class Case:
    """A layer and an accelerator; `fields` are those in which it differs from the bundled one."""

    layer: Layer
    fields: dict[str, Any]

    @property
    def arch(self) -> ArchConfig:
        """The accelerator."""
        return arch_of(self.fields)


@cache
def _bundled() -> ArchConfig:
    return load_arch("int8_32x32")


def arch_of(fields: dict[str, Any]) -> ArchConfig:
    """The bundled accelerator with some fields changed; words as wide as its edges unless given."""
    document = _bundled().model_dump(exclude_unset=True)
    for name in ("ifmap", "filter", "ofmap"):
        document.get("sram", {}).get(name, {}).pop("word_bits", None)
    return load_arch(ArchConfig.model_validate(document), fields)


def draw_product(rnd: Random, largest: int = LARGEST) -> Layer:
    """A fully connected layer, or a few products of two computed tensors."""
    m, n, k = (_length(rnd, largest) for _ in range(3))
    products = rnd.choice([1, 1, 1, 2, 3])
    kind: Literal["fc", "matmul"] = "fc" if products == 1 else "matmul"
    return matrix_layer("l", kind, m=m, n=n, k=k, products=products, weights_are_activations=products > 1)


def draw_convolution(rnd: Random, largest: int = LARGEST) -> Layer:
    """A convolution, one in groups, or a depthwise one; strides, padding, dilation by axis."""
    while True:
        form = rnd.choice(["plain", "plain", "groups", "depthwise"])
        kernel = rnd.randint(1, 4), rnd.randint(1, 4)
        stride = rnd.choice([1, 1, 1, 2, 3]), rnd.choice([1, 1, 1, 2, 3])
        dilation = rnd.choice([1, 1, 1, 2]), rnd.choice([1, 1, 1, 2])
        ifmap = rnd.randint(1, 9), rnd.randint(1, 9)
        padding = tuple(rnd.randint(0, (kernel[i % 2] - 1) * dilation[i % 2]) for i in range(4))
        groups = 1 if form == "plain" else rnd.randint(2, 5)
        channels = groups if form == "depthwise" else groups * rnd.randint(1, max(1, 8 // groups))
        filters = groups * rnd.randint(1, max(1, 12 // groups))
        reach = [dilation[i] * (kernel[i] - 1) + 1 for i in (0, 1)]
        if any(ifmap[i] + padding[i] + padding[i + 2] < reach[i] for i in (0, 1)):
            continue
        top, left, bottom, right = padding
        convolution = Convolution(
            rnd.choice([1, 1, 1, 2, 3]),
            channels,
            filters,
            ifmap,
            kernel,
            stride=stride,
            padding=(top, left, bottom, right),
            dilation=dilation,
            groups=groups,
        )
        layer = convolution_layer("l", convolution)
        if layer.k <= largest and layer.m <= 4 * largest:
            return layer


def draw_layer(rnd: Random) -> Layer:
    """Half products, half convolutions."""
    return draw_product(rnd) if rnd.random() < 0.5 else draw_convolution(rnd)


def _length(rnd: Random, largest: int) -> int:
    return rnd.choice([1, largest, rnd.randint(1, largest), rnd.randint(1, largest), rnd.randint(1, 8)])


def draw_fields(rnd: Random) -> dict[str, Any]:
    """An accelerator; 500 MHz, so that 0.5 gigabytes a second are a byte a cycle."""
    fields: dict[str, Any] = {
        "array.rows": rnd.randint(1, 4),
        "array.columns": rnd.randint(1, 4),
        "array.dataflow": rnd.choice(["os", "ws", "is"]),
        "array.overlap": rnd.choice(["none", "drain", "full"]),
        "array.partial_folds": rnd.choice(["full", "trimmed"]),
        "dram.bandwidth_gbyte_per_s": rnd.choice([0.2, 0.5, 1.7, 4, 25.6]),
        "dram.latency_ns": rnd.choice([0, 10, 60]),
        "dram.burst_bytes": rnd.choice([1, 4, 64]),
        "output_path.latency_cycles": rnd.choice([0, 4]),
    }
    for name in ("ifmap", "filter", "ofmap"):
        fields[f"sram.{name}.capacity_kib"] = rnd.choice([1 / 64, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 4])
        fields[f"sram.{name}.double_buffered"] = rnd.random() < 0.7
    return fields


SHARED_MEMORIES: tuple[tuple[Operand, ...], ...] = (
    ("ifmap", "filter", "ofmap"),
    ("ifmap", "filter"),
    ("ifmap", "ofmap"),
    ("filter", "ofmap"),
)


def draw_shared_fields(rnd: Random) -> dict[str, Any]:
    """An accelerator with a memory for two or three tensors, split freely or by shares."""
    fields = draw_fields(rnd)
    holds = rnd.choice(SHARED_MEMORIES)
    alone = [name for name in OPERANDS if name not in holds]
    memory: dict[str, Any] = {
        "holds": list(holds),
        "capacity_kib": rnd.choice([1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 3, 12]),
        "double_buffered": rnd.random() < 0.7,
        "word_bits": rnd.choice([8, 16, 24, 64, 512]),
        "ports": rnd.choice([1, 2, 3]),
    }
    if rnd.random() < 0.4:
        cuts = [rnd.choice([1, 1, 2, 4]) for _ in holds]
        memory["shares_kib"] = {
            name: memory["capacity_kib"] * cut / sum(cuts) for name, cut in zip(holds, cuts, strict=True)
        }
    if fields["array.overlap"] != "none" or rnd.random() < 0.3:
        memory["port_use"] = "own"
    sections = {"shared": memory}
    for name in alone:
        kept = ("capacity_kib", "double_buffered")
        sections[name] = {part: fields[f"sram.{name}.{part}"] for part in kept}
    others = {field: value for field, value in fields.items() if not field.startswith("sram.")}
    return {**others, "sram": sections}


def draw_shared_case(rnd: Random) -> Case:
    """A layer on an accelerator with a shared memory."""
    return Case(draw_layer(rnd), draw_shared_fields(rnd))


def draw_case(rnd: Random) -> Case:
    """A layer on an accelerator."""
    return Case(draw_layer(rnd), draw_fields(rnd))


def turned(layer: Layer) -> Layer:
    """The same convolution with height and width exchanged."""
    c = layer.convolution
    assert c is not None
    top, left, bottom, right = c.padding
    convolution = replace(
        c,
        ifmap=c.ifmap[::-1],
        kernel=c.kernel[::-1],
        stride=c.stride[::-1],
        dilation=c.dilation[::-1],
        padding=(left, top, right, bottom),
    )
    return convolution_layer(layer.name, convolution)
