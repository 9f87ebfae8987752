"""One architecture: exported to ONNX, read by the simulator, executed by PyTorch, compared."""

from __future__ import annotations

import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from simulator.workload import Network
from simulator.workload.onnx import read_onnx
from tools.zoo.architecture import Architecture
from tools.zoo.execution import executed
from tools.zoo.products import Products, macs, of_network, without_order
from tools.zoo.records import Record
from tools.zoo.values import randomize_uniform_values


@dataclass(frozen=True, slots=True)
class Measurement:
    """An architecture as executed and as read."""

    architecture: Architecture
    executed: Products
    counted_macs: int
    network: Network

    @property
    def read(self) -> Products:
        """The layers that the simulator's reader gives."""
        return of_network(self.network)

    @property
    def counted(self) -> Products:
        """What was executed, less the products of constants that the reader says it computes once."""
        constant = Counter(self.architecture.constant_products) if self.network.notes else Counter()
        return self.executed - constant

    @property
    def agreement(self) -> str:
        """`layer by layer`, `up to transposes`, `in sum`, or `no`."""
        if self.counted == self.read:
            return "layer by layer"
        if without_order(self.counted) == without_order(self.read):
            return "up to transposes"
        return "in sum" if macs(self.counted) == macs(self.read) else "no"

    @property
    def differences(self) -> Iterator[str]:
        """Products that only one side has."""
        for title, products in (("executed", self.counted - self.read), ("read", self.read - self.counted)):
            for product, count in sorted(products.items()):
                yield f"only {title}: {count} x {tuple(product)}"


def exported(architecture: Architecture, path: Path) -> tuple[Any, tuple[Any, ...]]:
    """Write an architecture as ONNX, no bias or scale of it trivial; the model and its example inputs."""
    torch.manual_seed(0)
    model, inputs = architecture.build()
    model.eval()
    randomize_uniform_values(model, seed=0)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if architecture.exporter == "dynamo":
            program = torch.onnx.export(model, inputs, dynamo=True, verbose=False)
            assert program is not None
            program.save(str(path), external_data=True)
        else:
            torch.onnx.export(model, inputs, str(path), dynamo=False, opset_version=17)
    return model, inputs


@contextmanager
def measured(architecture: Architecture) -> Iterator[tuple[Measurement, Path]]:
    """An architecture's measurement and, as long as the context lasts, its ONNX file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{architecture.name}.onnx"
        model, inputs = exported(architecture, path)
        products, counted = executed(model, inputs)
        del model
        yield Measurement(architecture, products, counted, read_onnx(path)), path


def versions(*, of: str) -> str:
    """The packages that define, export and describe an architecture of a family."""
    packages = ["torch", "transformers" if of in ("language", "speech") else "torchvision", "onnx"]
    return ", ".join(f"{package} {version(package).split('+')[0]}" for package in packages)


def record(measurement: Measurement) -> Record:
    """The row of the zoo's table, dated today."""
    one = measurement.architecture
    return Record(
        name=one.name,
        family=one.family,
        inputs=one.inputs,
        exporter=one.exporter,
        layers=len(measurement.network.layers),
        executed_macs=macs(measurement.executed),
        counter_macs=measurement.counted_macs,
        read_macs=measurement.network.macs,
        published_gmacs="" if one.published_gmacs is None else str(one.published_gmacs),
        agreement=measurement.agreement,
        versions=versions(of=one.family),
        date=datetime.now(UTC).date().isoformat(),
        note=one.note,
    )
