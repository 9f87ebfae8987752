"""Writes the bundled networks: from ONNX models that the onnx package ships, or from papers.

    python -m tools.import_networks            # write all
    python -m tools.import_networks resnet50   # write one

Those that come from PyTorch are written by `python -m tools.zoo`; here only their descriptions are renewed.
AlexNet and GoogLeNet come from their papers although the onnx package ships them: those exports turned
Caffe's rounded-up pooling (and AlexNet's 227-pixel crop) into smaller feature maps than the published ones.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from simulator.foundation.files import write_text
from simulator.workload import Network
from simulator.workload.network_file import network_text, read_network
from simulator.workload.onnx import read_onnx
from tools.bundled_networks import DESCRIPTIONS, FROM_PYTORCH, described
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
    return described(read_onnx(onnx_folder() / f"{ONNX_MODELS[name]}.onnx"), name)


def builders() -> dict[str, Callable[[], Network]]:
    """Every bundled network that needs no PyTorch and how it is made."""
    imported: dict[str, Callable[[], Network]] = {name: partial(from_onnx, name) for name in ONNX_MODELS}
    return imported | {name: partial(_from_paper, name, build) for name, build in PAPER_NETWORKS.items()}


def _from_paper(name: str, build: Callable[[], Network]) -> Network:
    network, source = build(), DESCRIPTIONS[name].source
    if network.source != source:
        raise ValueError(f"{name}: two sources, {network.source!r} and {source!r}")
    return described(network, name)


def _described_again(name: str) -> Network:
    """A file that came from PyTorch, with its description as it is now."""
    return described(read_network(WORKLOADS / f"{name}.yaml"), name)


def main(names: list[str]) -> None:
    available = builders() | {name: partial(_described_again, name) for name in FROM_PYTORCH}
    for name in names or sorted(available):
        network = available[name]()
        write_text(WORKLOADS / f"{name}.yaml", network_text(network))
        print(f"{name:14} {len(network.layers):4} layers {network.macs / 1e6:10.2f} M MACs")


if __name__ == "__main__":
    main(sys.argv[1:])
