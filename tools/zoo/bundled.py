"""Bundled networks that come from PyTorch: their files, with names of layers as the model's modules have them."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import replace
from pathlib import Path

from simulator.foundation.files import write_text
from simulator.workload import Layer, Network
from simulator.workload.network_file import network_text
from tools.bundled_networks import FROM_PYTORCH, described
from tools.zoo.measure import Measurement
from tools.zoo.records import ROOT, read_products, write_products

SAME_NETWORK = {
    "densenet121": "densenet121", "mobilenet_v2": "mobilenet_v2", "resnet18": "resnet18", "resnet50": "resnet50",
    "squeezenet1_1": "squeezenet", "vgg16": "vgg16", "vgg19": "vgg19", "vit_b_32": "vit_b32",
}  # fmt: skip
"""Architectures of torchvision that are bundled networks of another origin."""

_PRODUCTS_OF_DATA = ("scores", "context")
_PRODUCTS_OF_WEIGHTS = {"swin_t": ("qkv", "proj")}
"""What a module multiplies that has no module of its own, in order."""


def keep(measurement: Measurement, path: Path) -> None:
    """Write the network file of an architecture that is bundled, and what executing it multiplied."""
    name = measurement.architecture.name
    if name in FROM_PYTORCH:
        network = _named_after_modules(measurement.network, path, _PRODUCTS_OF_WEIGHTS.get(name, ()))
        network = replace(described(network, name), notes=())
        write_text(ROOT / "workloads" / f"{name}.yaml", network_text(network))
    bundled = name if name in FROM_PYTORCH else SAME_NETWORK.get(name)
    if bundled is not None:
        write_products(read_products() | {bundled: measurement.executed})


def _named_after_modules(network: Network, path: Path, of_weights: tuple[str, ...]) -> Network:
    """The network, its layers named after modules; several products of one module are told apart."""
    modules = _modules(path)
    places = {
        layer.name: modules.get(layer.name, layer.name).removeprefix("model.") for layer in network.layers
    }
    kinds = Counter(
        (place, _is_data(layer)) for layer, place in zip(network.layers, places.values(), strict=True)
    )
    seen: Counter[tuple[str, bool]] = Counter()
    names: dict[str, str] = {}
    for layer in network.layers:
        place, is_data = places[layer.name], _is_data(layer)
        parts = _PRODUCTS_OF_DATA if is_data else of_weights
        index = seen[place, is_data]
        if is_data or kinds[place, is_data] > 1:
            part = parts[index] if kinds[place, is_data] == len(parts) else str(index + 1)
            names[layer.name] = f"{place}.{part}"
        else:
            names[layer.name] = place
        seen[place, is_data] += 1
    return replace(network, layers=tuple(_renamed(layer, names) for layer in network.layers))


def _is_data(layer: Layer) -> bool:
    return layer.weights_are_activations


def _modules(path: Path) -> dict[str, str]:
    """The module that each operator of an exported file belongs to, as the exporter wrote it down."""
    import onnx

    found = {}
    for node in onnx.load(str(path), load_external_data=False).graph.node:
        for entry in node.metadata_props:
            if entry.key == "pkg.torch.onnx.name_scopes":
                scopes = [scope for scope in ast.literal_eval(entry.value)[:-1] if scope]
                if scopes:
                    found[node.name] = scopes[-1]
    return found


def _renamed(layer: Layer, names: dict[str, str]) -> Layer:
    posts = tuple(
        replace(post, inputs=tuple(names[name] for name in post.inputs)) for post in layer.post_operations
    )
    inputs = tuple(names[name] for name in layer.inputs)
    return replace(layer, name=names[layer.name], inputs=inputs, post_operations=posts)
