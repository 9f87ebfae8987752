"""The one reader of ONNX files: simulation and inference both work on the graph that it gives.

What reads files is imported when first used: most networks are no ONNX files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.workload.onnx.sizes import Sizes, parse_sizes

if TYPE_CHECKING:
    from simulator.workload.onnx.build import build_graph
    from simulator.workload.onnx.file import read_source, source_of
    from simulator.workload.onnx.graph import Constant, Graph, InputTensor, Node, Source
    from simulator.workload.onnx.network import network_of, read_onnx

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

_LATE = {
    **dict.fromkeys(("Constant", "Graph", "InputTensor", "Node", "Source"), "graph"),
    **dict.fromkeys(("network_of", "read_onnx"), "network"),
    **dict.fromkeys(("read_source", "source_of"), "file"),
    "build_graph": "build",
}


def __getattr__(name: str) -> object:
    if name in _LATE:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
