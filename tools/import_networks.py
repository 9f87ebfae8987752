"""Writes the bundled networks: from ONNX models that the onnx package ships, or from papers.

    python -m tools.import_networks            # write all
    python -m tools.import_networks resnet50   # write one

AlexNet and GoogLeNet come from their papers although the onnx package ships them: those exports turned
Caffe's rounded-up pooling (and AlexNet's 227-pixel crop) into smaller feature maps than the published ones.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from simulator.foundation.files import write_text
from simulator.workload import Network
from simulator.workload.network_file import network_text
from simulator.workload.onnx import read_onnx
from tools.paper_networks import PAPER_NETWORKS

WORKLOADS = Path(__file__).resolve().parent.parent / "workloads"

ONNX_MODELS = {
    "densenet121": "light_densenet121",
    "inception_v2": "light_inception_v2",
    "resnet50": "light_resnet50",
    "shufflenet": "light_shufflenet",
    "squeezenet": "light_squeezenet",
    "vgg19": "light_vgg19",
    "zfnet512": "light_zfnet512",
}


def onnx_folder() -> Path:
    """Where the onnx package keeps the graphs of the ONNX model zoo without their weights."""
    import onnx

    return Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def from_onnx(name: str) -> Network:
    """One network through the ONNX importer."""
    model = ONNX_MODELS[name]
    network = read_onnx(onnx_folder() / f"{model}.onnx")
    source = f"ONNX model zoo, {model}.onnx of the onnx package, Apache-2.0"
    return replace(network, name=name, source=source)


def builders() -> dict[str, Callable[[], Network]]:
    """Every bundled network and how it is made."""
    imported: dict[str, Callable[[], Network]] = {name: partial(from_onnx, name) for name in ONNX_MODELS}
    return imported | PAPER_NETWORKS


def main(names: list[str]) -> None:
    available = builders()
    for name in names or sorted(available):
        network = available[name]()
        write_text(WORKLOADS / f"{name}.yaml", network_text(network))
        print(f"{name:14} {len(network.layers):4} layers {network.macs / 1e6:10.2f} M MACs")


if __name__ == "__main__":
    main(sys.argv[1:])
