"""What is computed: layers, networks, their importers, and the lowering to matrix products."""

from simulator.workload.layer import (
    Convolution,
    Layer,
    LayerKind,
    Network,
    PostOperation,
    PostOperationKind,
    convolution_layer,
    matrix_layer,
)
from simulator.workload.load import load_network

__all__ = [
    "Convolution",
    "Layer",
    "LayerKind",
    "Network",
    "PostOperation",
    "PostOperationKind",
    "convolution_layer",
    "load_network",
    "matrix_layer",
]
