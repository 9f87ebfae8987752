"""Good inputs of every kind, small, which are then changed."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from simulator.inference import load_images, load_model, plan_network, record_trace
from simulator.result_seal import seal
from simulator.simulation import configure, simulate
from simulator.workload import load_network
from tests.hostile.fuzzing.models import models

KEY: Final = "0123456789abcdef" * 4

NETWORK: Final[Mapping[str, Any]] = {
    "name": "two",
    "source": "written for this test",
    "layers": [
        {"name": "conv1", "conv": {"ifmap": [6, 6], "channels": 2, "filters": 4, "kernel": 3, "padding": 1,
                                   "stride": [1, 2], "dilation": 1, "groups": 2}, "post": ["relu", "pool"]},
        {"name": "fc1", "inputs": ["conv1"], "fc": {"m": 2, "k": 36, "n": 10}, "weights": "w1"},
        {"name": "mm", "inputs": ["fc1"], "matmul": {"m": 2, "k": 10, "n": 3, "products": 2, "activations": True},
         "post": [{"kind": "add", "inputs": ["fc1"], "elements": 12}]},
    ],
}  # fmt: skip

ARCH: Final[Mapping[str, Any]] = {
    "name": "small", "description": "a test", "clock_mhz": 500, "scaling": {"voltage": True, "frequency": True},
    "process": {"node_nm": 28, "voltage_v": 0.81, "temperature_c": 25, "corner": "TT"},
    "array": {"rows": 8, "columns": 8, "mac": "int8", "dataflow": "ws", "overlap": "drain", "timing": "reference",
              "zero_gating": True, "partial_folds": "trimmed"},
    "sram": {"ifmap": {"capacity_kib": 64, "word_bits": 64}, "filter": {"ports": 2}, "ofmap": {}},
    "dram": {"type": "lpddr4", "bandwidth_gbyte_per_s": 25.6, "latency_ns": 60, "burst_bytes": 64},
    "output_path": {"values_per_cycle": 4, "latency_cycles": 4},
    "tiling": {"objective": "traffic", "loop_order": "auto", "tile_m": 16, "single_buffered": "ofmap"},
    "macs": {"mine": {"activation": "int8", "weight": "int4", "accumulator": {"kind": "fixed", "bits": 24, "lsb": 0},
                      "pipeline_depth": 2, "reduction_length": 64},
             "other": {"activation": "e4m3", "weight": "e4m3", "product": "fused", "output": "nearest",
                       "accumulator": {"kind": "float", "format": "fp16", "flush_subnormals": True}}},
    "layers": {"conv1": {"dataflow": "os", "mac": "mine", "tiling": {"tile_k": 8}}},
    "tables": ["johnson2018_28nm", "parts_28nm", "sram_28nm", "dram", "interconnect_28nm"],
}  # fmt: skip

TABLE: Final[Mapping[str, Any]] = {
    "table": "mine", "description": "a test", "role": "prices",
    "sources": {"s": "a report"},
    "conditions": {"c": {"node_nm": 28, "voltage_v": 0.81, "temperature_c": 25, "corner": "TT", "clock_mhz": 500,
                         "activity": "random"}},
    "rows": [
        {"component": "pe_multiply", "variant": "int8", "action": "operate", "energy_pj": 0.2, "conditions": "c",
         "source": "s", "status": "own"},
        {"component": "pe", "variant": "int8", "action": "area", "area_um2": 300, "conditions": "c", "source": "s",
         "status": "own", "uncertainty": 0.1},
        {"component": "dram", "variant": "lpddr4", "action": "transfer", "energy_pj_per_bit": 8, "conditions": "c",
         "source": "s", "status": "own"},
        {"component": "sram", "variant": "ram", "action": "read", "energy_pj": 2.0, "conditions": "c",
         "source": "s", "status": "own", "capacity_kib": 32, "word_bits": 64},
    ],
}  # fmt: skip

ACCELERGY: Final[Mapping[str, Any]] = {
    "ERT": {"version": 0.4, "tables": [
        {"name": "system.pe_multiply.int8", "actions": [{"name": "operate", "arguments": {}, "energy": 0.2}]},
        {"name": "system.sram[1..2].ram.32KiB.64bit", "actions": [{"name": "read", "energy": 2.0}]},
    ]},
    "ART": {"version": 0.4, "tables": [{"name": "system.pe.int8", "area": 300.0}]},
}  # fmt: skip

PROVENANCE: Final[dict[str, Any]] = {
    "source": "a test", "status": "own", "conditions": TABLE["conditions"]["c"],
}  # fmt: skip
"""What is said of prices that come from Accelergy files."""

SWEEP: Final[Mapping[str, Any]] = {
    "name": "s", "networks": ["resnet50"], "archs": ["int8_32x32"], "macs": ["int8", "e4m3 x e4m3"], "batches": [1],
    "grid": {"array.rows": [8, 16], "tables": [["dram", "mine.yaml"]]}, "points": [{"array.rows": 4}],
    "data": "fashion_mnist_1000", "policy": {"int8": "mse"}, "images": 4,
}  # fmt: skip

MAPPING: Final[Mapping[str, Any]] = {
    "layers": {
        "conv1": {"dataflow": "os", "tiling": {"loop_order": "ofmap_resident", "tile_m": 8, "tile_n": 2}}
    }
}

SCALESIM_CSV: Final = """Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,
conv1, 8, 8, 3, 3, 2, 4, 1,
conv2, 6, 6, 3, 3, 4, 4, 2, # a comment
"fc, 1", 1, 1, 1, 1, 64, 10, 1,
"""

SCALESIM_CFG: Final = """[general]
run_name = test

[architecture_presets]
ArrayHeight: 8
ArrayWidth: 8
IfmapSramSzkB: 64
FilterSramSzkB: 64
OfmapSramSzkB: 64
IfmapOffset: 0
FilterOffset: 10000000
OfmapOffset: 20000000
Dataflow : ws
Bandwidth : 10

[run_presets]
InterfaceBandwidth: USER
"""

SPECS: Final = (
    *(
        "int8",
        "e4m3",
        "e5m2",
        "ue4m4b9",
        "fix8.4",
        "log8.1",
        "posit8.1",
        "fp16",
        "bf16",
        "fp32",
        "uint4",
        "int16",
    ),
    *(
        "e4m3 x e4m3",
        "int4 x int8",
        "posit8.1 x log8.1",
        "elma8",
        "fp8",
        "int8_16x16",
        "e8m0",
        "int64",
        "fix32.16",
    ),
)


def network_file(folder: Path) -> Path:
    """The network in a file."""
    path = folder / "n.yaml"
    path.write_text(json.dumps(NETWORK))
    return path


@dataclass(frozen=True)
class Samples:
    """Good inputs that take some work to make; trace files by name."""

    result: Mapping[str, Any]
    sealed: bytes
    trace: Mapping[str, bytes]
    arrays: Mapping[str, bytes]
    pictures: Mapping[str, bytes]
    models: Mapping[str, bytes]
    model_file: Path
    images_file: Path

    @staticmethod
    def made_in(folder: Path) -> Samples:
        """All of them; `folder` holds what they are made from."""
        result = simulate(load_network(network_file(folder)), configure("int8_32x32", {"array.rows": 8}))
        images = np.random.default_rng(1).integers(0, 256, (3, 1, 6, 6), dtype=np.uint8)
        model_file, data_file = folder / "m.onnx", folder / "images.npz"
        made_models = models()
        model_file.write_bytes(made_models["small"])
        np.savez(data_file, images=images, labels=np.array([0, 1, 2]), calibration_images=images)
        model, data = load_model(model_file), load_images(data_file)
        record_trace(model, data, plan_network(model, data, "int8", None), folder / "trace")
        trace = {path.name: path.read_bytes() for path in sorted((folder / "trace").iterdir())}
        return Samples(
            result=json.loads(result.to_json()),
            sealed=seal(result.model_dump_json(), KEY).encode(),
            trace=trace,
            arrays={"a.npz": data_file.read_bytes(), "b.npz": _compressed(images), "c.npy": _npy(images)},
            pictures=_pictures(),
            models=made_models,
            model_file=model_file,
            images_file=data_file,
        )


def _npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _compressed(images: Any) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, images=images.astype(np.float32), labels=np.array([0, 1, 2]))
    return stream.getvalue()


def _pictures() -> dict[str, bytes]:
    pixels = np.random.default_rng(2).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    made = {}
    for suffix in ("png", "jpeg", "bmp", "gif", "ppm", "tiff", "webp"):
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, suffix)
        made[f"a.{suffix}"] = stream.getvalue()
    return made
