"""What is computed: layers, networks, their importers, and the lowering to matrix products."""

from simulator.workload.layer import (
    Convolution,
    Layer,
    LayerKind,
    Network,
    PostOperation,
    convolution_layer,
    matrix_layer,
)

__all__ = [
    "Convolution",
    "Layer",
    "LayerKind",
    "Network",
    "PostOperation",
    "convolution_layer",
    "matrix_layer",
]
