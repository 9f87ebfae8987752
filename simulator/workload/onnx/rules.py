"""Which operators become products, and how: the table that a new operator is added to.

A rule writes plain operators in place of one: `Conv` over two dimensions and `MatMul` for what multiplies and
accumulates, ONNX's own elementwise operators for the rest. What simulation counts and inference computes is
what the rules write.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from simulator.workload.onnx import convolution_rules, einsum_rules, matrix_rules, recurrent_rules
from simulator.workload.onnx import quantized_rules as quantized
from simulator.workload.onnx.graph import Node

if TYPE_CHECKING:
    from simulator.workload.onnx.build import Rule


class OperatorRule(NamedTuple):
    """What becomes of an operator; `is_product` says that it multiplies and accumulates."""

    write: Rule
    is_product: bool = True


RULES: Final[Mapping[tuple[str, str], OperatorRule]] = {
    ("", "Conv"): OperatorRule(convolution_rules.conv),
    ("", "ConvTranspose"): OperatorRule(convolution_rules.conv_transpose),
    ("", "Gemm"): OperatorRule(matrix_rules.gemm),
    ("", "Einsum"): OperatorRule(einsum_rules.einsum),
    ("", "LSTM"): OperatorRule(recurrent_rules.lstm),
    ("", "GRU"): OperatorRule(recurrent_rules.gru),
    ("", "RNN"): OperatorRule(recurrent_rules.rnn),
    ("", "ConvInteger"): OperatorRule(quantized.conv_integer),
    ("", "MatMulInteger"): OperatorRule(quantized.matmul_integer),
    ("", "QLinearConv"): OperatorRule(quantized.qlinear_conv),
    ("", "QLinearMatMul"): OperatorRule(quantized.qlinear_matmul),
}
"""By domain and operator."""


def rule_of(node: Node) -> OperatorRule | None:
    """The rule for an operator, or None where it stays as it is."""
    return RULES.get((node.domain, node.operator))
