"""Arguments of the Python interface that are of other types than asked for: used, or refused in a sentence."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from types import EllipsisType
from typing import Any, Final

import numpy as np

from simulator import api
from simulator.arch import load_arch
from simulator.cost.price_tables import load_table
from simulator.inference import load_data, load_model
from simulator.inference.policies import get_policy
from simulator.inference.preprocess import get_preprocess
from simulator.measured_runs import Tensors
from simulator.numerics import get_mac
from simulator.numerics.formats import get_format
from simulator.result import load_result
from simulator.sweep.spec import load_spec
from simulator.workload import load_network
from tests.hostile.fuzzing.mutations import VALUES
from tests.hostile.fuzzing.samples import Samples, network_file


class _Mute:
    """An object that cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError


_OTHER: Final[tuple[Any, ...]] = (
    *(object, object(), b"int8", bytearray(b"x"), np.int64(3), np.float32(2.5), np.array([1, 2]), 1j, {1, 2}),
    *(range(3), (1, 2), iter(()), Path(), Ellipsis, EllipsisType, 10**400, {"array.rows": 8}, {"macs": {"a": {}}}),
    *(["int8", "fp8"], ("int8",), {"int8": "mse"}, "int8", "int8_32x32", "lenet5_fashion"),
    _Mute(),
)  # fmt: skip
_FIELDS: Final = (
    *("array.rows", "array.mac", "array", "sram.ifmap.capacity_kib", "sram", "dram", "layers", "tables", "macs"),
    *("scaling", "clock_mhz", "", "..", "a.b.c", "array..rows"),
)  # fmt: skip


class _Files:
    """Files that are good, and values in their places."""

    def __init__(self, draw: random.Random, made: Samples, folder: Path) -> None:
        self.draw, self.model, self.images = draw, made.model_file, made.images_file
        self.network = network_file(folder)

    def any(self) -> Any:
        """Anything."""
        return self.draw.choice((*VALUES, *_OTHER))

    def good_or(self, good: Any) -> Any:
        """What is good, or anything."""
        return good if self.draw.random() < 0.6 else self.any()

    def tensors(self) -> Tensors:
        """Images with changed settings."""
        policies = self.good_or(())
        return Tensors(
            self.good_or(str(self.images)),
            self.good_or(None),
            self.good_or(None),
            policies,
            self.good_or(None),
            self.good_or(None),
        )


def _simulate(files: _Files) -> object:
    return api.simulate(
        files.good_or(files.network),
        files.good_or("int8_32x32"),
        mac=files.good_or(None),
        dataflow=files.good_or(None),
        batch=files.good_or(None),
        overrides=files.good_or(None),
        scalesim_cfg=files.good_or(None),
        sizes=files.good_or(None),
        tensors=files.good_or(None),
    )


def _saved(files: _Files) -> object:
    result = api.simulate(files.network)
    if files.draw.random() < 0.5:
        return result.plot(files.any())
    value = files.any()
    return result.save(value) if not isinstance(value, str | Path) else None  # nothing beside the folder


_CALLS: Final[Mapping[str, Callable[[_Files], object]]] = {
    "simulate": _simulate,
    "simulate on images": lambda files: api.simulate(files.model, tensors=files.tensors()),
    "infer": lambda files: api.infer(
        files.good_or(files.model), files.good_or(files.images), mac=files.good_or("int8"),
        policy=files.good_or(None), images=files.good_or(None),
    ),
    "compare": lambda files: api.compare(
        files.any(), macs=files.good_or(["int8"]), archs=files.good_or(["int8_32x32"]),
        batch=files.good_or(None), overrides=files.good_or(None), tensors=files.good_or(None), jobs=1,
    ),
    "architecture": lambda files: load_arch(
        files.good_or("int8_32x32"), {files.draw.choice(_FIELDS): files.any() for _ in range(2)}
    ),
    "overrides": lambda files: load_arch("int8_32x32", files.any()),
    "MAC": lambda files: get_mac(files.any()),
    "format": lambda files: get_format(files.any()),
    "network": lambda files: load_network(files.good_or(files.network), batch=files.any()),
    "data": lambda files: load_data(
        files.good_or(files.images), load_model(files.model), preprocess=files.good_or(None),
        labels=files.good_or(None),
    ),
    "policy": lambda files: get_policy(files.any()),
    "preprocess": lambda files: get_preprocess(files.any()),
    "result": lambda files: load_result(files.any()),
    "table": lambda files: load_table(files.any()),
    "sweep": lambda files: load_spec(files.any()),
    "save and plot": _saved,
}  # fmt: skip


def python_values(draw: random.Random, made: Samples, folder: Path) -> None:
    """A call with some arguments that are anything."""
    files = _Files(draw, made, folder)
    _CALLS[draw.choice(list(_CALLS))](files)
