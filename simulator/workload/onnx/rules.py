"""Which operators become products, and how: the table that a new operator is added to.

A rule writes plain operators in place of one: `Conv` over two dimensions and `MatMul` for what multiplies and
accumulates, ONNX's own elementwise operators for the rest. What simulation counts and inference computes is
what the rules write.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from simulator.workload.onnx import (
    attention_rules,
    convolution_rules,
    einsum_rules,
    fourier_rules,
    fused_rules,
    matrix_rules,
    recurrent_rules,
)
from simulator.workload.onnx import quantized_rules as quantized
from simulator.workload.onnx.builder import OperatorRule
from simulator.workload.onnx.graph import Node

MICROSOFT: Final = "com.microsoft"
"""Domain of the operators that ONNX Runtime writes."""


RULES: Final[Mapping[tuple[str, str], OperatorRule]] = {
    ("", "Conv"): OperatorRule(convolution_rules.conv),
    ("", "DeformConv"): OperatorRule(convolution_rules.deform_conv),
    ("", "ConvTranspose"): OperatorRule(convolution_rules.conv_transpose),
    ("", "MatMul"): OperatorRule(matrix_rules.matmul),
    ("", "Gemm"): OperatorRule(matrix_rules.gemm),
    ("", "Einsum"): OperatorRule(einsum_rules.einsum),
    ("", "LSTM"): OperatorRule(recurrent_rules.lstm),
    ("", "GRU"): OperatorRule(recurrent_rules.gru),
    ("", "RNN"): OperatorRule(recurrent_rules.rnn),
    ("", "ConvInteger"): OperatorRule(quantized.conv_integer),
    ("", "MatMulInteger"): OperatorRule(quantized.matmul_integer),
    ("", "QLinearConv"): OperatorRule(quantized.qlinear_conv),
    ("", "QLinearMatMul"): OperatorRule(quantized.qlinear_matmul),
    ("", "Attention"): OperatorRule(attention_rules.as_onnx_defines),
    ("", "LinearAttention"): OperatorRule(attention_rules.as_onnx_defines),
    ("", "CausalConvWithState"): OperatorRule(attention_rules.as_onnx_defines),
    ("", "DFT"): OperatorRule(fourier_rules.dft),
    ("", "STFT"): OperatorRule(fourier_rules.stft),
    ("", "SimplifiedLayerNormalization"): OperatorRule(
        fused_rules.simplified_layer_normalization, is_product=False
    ),
    **{
        (MICROSOFT, operator): OperatorRule(rule)
        for operator, rule in {
            "Attention": attention_rules.packed_attention,
            "MultiHeadAttention": attention_rules.multi_head_attention,
            "GroupQueryAttention": attention_rules.group_query_attention,
            "DynamicQuantizeMatMul": quantized.dynamic_quantize_matmul,
            "DynamicQuantizeLSTM": recurrent_rules.dynamic_quantize_lstm,
            "FusedConv": fused_rules.fused_conv,
            "FusedGemm": fused_rules.fused_gemm,
            "FusedMatMul": fused_rules.fused_matmul,
            "TransposeMatMul": fused_rules.fused_matmul,
            "MatMulIntegerToFloat": quantized.matmul_integer_to_float,
            "MatMulNBits": quantized.matmul_nbits,
            "QGemm": quantized.qgemm,
        }.items()
    },
    **{
        (MICROSOFT, operator): OperatorRule(rule, is_product=False)
        for operator, rule in {
            "BiasGelu": fused_rules.gelu,
            "EmbedLayerNormalization": fused_rules.embed_layer_normalization,
            "FastGelu": fused_rules.gelu,
            "Gelu": fused_rules.gelu,
            "QLinearAdd": quantized.qlinear_elementwise("Add", 2),
            "QLinearAveragePool": quantized.qlinear_elementwise("AveragePool"),
            "QLinearConcat": quantized.qlinear_concat,
            "QLinearGlobalAveragePool": quantized.qlinear_elementwise("GlobalAveragePool"),
            "QLinearLeakyRelu": quantized.qlinear_elementwise("LeakyRelu"),
            "QLinearMul": quantized.qlinear_elementwise("Mul", 2),
            "QLinearSigmoid": quantized.qlinear_elementwise("Sigmoid"),
            "QLinearSoftmax": quantized.qlinear_elementwise("Softmax"),
            "QuickGelu": fused_rules.quick_gelu,
            "RotaryEmbedding": fused_rules.rotary_embedding,
            "SkipLayerNormalization": fused_rules.skip_layer_normalization,
            "SkipSimplifiedLayerNormalization": fused_rules.skip_layer_normalization,
        }.items()
    },
}
"""By domain and operator."""


def rule_of(node: Node) -> OperatorRule | None:
    """The rule for an operator, or None where it stays as it is."""
    return RULES.get((node.domain, node.operator))
