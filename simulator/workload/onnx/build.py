"""From a file and the sizes of its inputs to a graph in which every shape that can be known is known.

One pass in execution order does it, because everything that an operator can know stands before it: shapes
come from ONNX's own inference of a single operator, given the values of small constants; operators on
constants become constants, made when somebody asks for their values; `Shape` of a known shape is a constant;
functions and branches with a known condition are written out; rules turn operators into plain products.
"""

from __future__ import annotations

from simulator.workload.onnx.builder import Builder
from simulator.workload.onnx.control import resolve
from simulator.workload.onnx.graph import Graph, Source
from simulator.workload.onnx.rules import rule_of
from simulator.workload.onnx.sizes import Sizes, close_sizes


def build_graph(source: Source, sizes: Sizes | None = None) -> Graph:
    """The graph of a file for inputs of these sizes.

    Raises:
        UserError: input dimensions left open, contradictory sizes, or a damaged file.
    """
    closed = close_sizes(source.inputs, sizes or Sizes(), source.path)
    builder = Builder(source, closed, rule_of, resolve)
    builder.add_all(source.body.nodes)
    return builder.graph()
