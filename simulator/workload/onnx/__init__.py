"""The one reader of ONNX files: simulation and inference both work on the graph that it gives."""

from simulator.workload.onnx.build import build_graph
from simulator.workload.onnx.file import read_source, source_of
from simulator.workload.onnx.graph import Constant, Graph, InputTensor, Node, Source
from simulator.workload.onnx.network import network_of, read_onnx
from simulator.workload.onnx.sizes import Sizes, parse_sizes

__all__ = [
    "Constant",
    "Graph",
    "InputTensor",
    "Node",
    "Sizes",
    "Source",
    "build_graph",
    "network_of",
    "parse_sizes",
    "read_onnx",
    "read_source",
    "source_of",
]
