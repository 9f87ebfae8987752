"""Small ONNX graphs of every kind that multiplies and accumulates, with inputs to run them on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Tensor = NDArray[Any]
MICROSOFT = "com.microsoft"


@dataclass(frozen=True)
class Case:
    """A graph, what it is fed, and its MACs where an execution's shapes do not give them."""

    nodes: Sequence[onnx.NodeProto]
    feeds: Mapping[str, Tensor]
    weights: Mapping[str, Tensor] = field(default_factory=dict)
    outputs: Sequence[str] = ("y",)
    opset: int = 17
    macs: int | None = None
    tolerance: float = 1e-4
    functions: Sequence[onnx.FunctionProto] = ()

    def model(self) -> onnx.ModelProto:
        """The file, with inputs of fixed shape."""
        inputs = [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(values.dtype), list(values.shape)
            )
            for name, values in self.feeds.items()
        ]
        outputs = [helper.make_empty_tensor_value_info(name) for name in self.outputs]
        constants = [numpy_helper.from_array(values, name) for name, values in self.weights.items()]
        graph = helper.make_graph(self.nodes, "graph", inputs, outputs, constants)
        imports = [helper.make_opsetid("", self.opset), helper.make_opsetid(MICROSOFT, 1)]
        imports += [helper.make_opsetid(each.domain, 1) for each in self.functions]
        model = helper.make_model(graph, opset_imports=imports, functions=list(self.functions))
        model.ir_version = min(10, model.ir_version)
        copy: onnx.ModelProto = onnx.ModelProto.FromString(model.SerializeToString())
        return copy


def node(operator: str, inputs: str, outputs: str = "y", **attributes: Any) -> onnx.NodeProto:
    """An operator; operands are separated by spaces, `-` is one that is left out."""
    names = ["" if name == "-" else name for name in inputs.split()]
    domain = attributes.pop("domain", "")
    return helper.make_node(
        operator, names, outputs.split(), name=f"n_{outputs.split()[0]}", domain=domain, **attributes
    )


_RANDOM = np.random.default_rng(11)


def real(*shape: int) -> Tensor:
    """Normal numbers in float32."""
    return _RANDOM.normal(size=shape).astype(np.float32)


def codes(*shape: int, dtype: Any = np.int8) -> Tensor:
    """Integers over most of a type's range."""
    info = np.iinfo(dtype)
    return _RANDOM.integers(info.min // 2, info.max // 2, size=shape).astype(dtype)


def integers(*values: int) -> Tensor:
    """Axes, sizes, and the like."""
    return np.array(values, np.int64)


def scalar(value: float, dtype: Any = np.float32) -> Tensor:
    """One number."""
    return np.array(value, dtype)


def _subgraph(nodes: list[onnx.NodeProto], inputs: list[Any], outputs: list[str]) -> onnx.GraphProto:
    return helper.make_graph(
        nodes, "inner", inputs, [helper.make_empty_tensor_value_info(name) for name in outputs]
    )


def _value(name: str, kind: int, *shape: int) -> Any:
    return helper.make_tensor_value_info(name, kind, list(shape))


def _convolutions() -> dict[str, Case]:
    return {
        "conv_1d": Case(
            [node("Conv", "x w b", pads=[2, 1], strides=[2], dilations=[2])],
            {"x": real(2, 4, 30)}, {"w": real(6, 4, 3), "b": real(6)},
        ),
        "conv_1d_grouped_then_normalized": Case(
            [
                node("Conv", "x w", "c", group=4),
                node("BatchNormalization", "c s o m v", "n"),
                node("Relu", "n"),
            ],
            {"x": real(2, 8, 20)},
            {"w": real(8, 2, 5), "s": real(8), "o": real(8), "m": real(8), "v": real(8) ** 2 + 0.5},
        ),
        "conv_2d_same": Case(
            [node("Conv", "x w", auto_pad="SAME_LOWER", strides=[2, 3])],
            {"x": real(1, 3, 11, 13)}, {"w": real(4, 3, 4, 3)},
        ),
        "conv_3d": Case(
            [node("Conv", "x w b", pads=[1, 0, 1, 0, 1, 1], strides=[2, 1, 2], dilations=[1, 2, 1])],
            {"x": real(2, 3, 6, 9, 8)}, {"w": real(5, 3, 3, 2, 3), "b": real(5)},
        ),
        "conv_3d_grouped": Case(
            [node("Conv", "x w", "c", group=2), node("BatchNormalization", "c s o m v")],
            {"x": real(1, 4, 5, 5, 5)},
            {"w": real(6, 2, 2, 3, 2), "s": real(6), "o": real(6), "m": real(6), "v": real(6) ** 2 + 0.5},
        ),
        "conv_with_computed_weights": Case(
            [node("Tanh", "w", "t"), node("Conv", "x t b", group=2, pads=[1, 1, 1, 1])],
            {"x": real(2, 4, 6, 6), "w": real(6, 2, 3, 3), "b": real(6)},
        ),
        "conv_transpose_1d": Case(
            [node("ConvTranspose", "x w b", strides=[3], pads=[1, 2], output_padding=[1])],
            {"x": real(2, 4, 10)}, {"w": real(4, 5, 4), "b": real(5)},
        ),
        "conv_transpose_2d_grouped": Case(
            [node("ConvTranspose", "x w", group=2, strides=[2, 1], dilations=[1, 2], pads=[1, 0, 0, 1])],
            {"x": real(2, 4, 5, 6)}, {"w": real(4, 3, 3, 2)},
        ),
        "conv_transpose_2d_same": Case(
            [node("ConvTranspose", "x w b", auto_pad="SAME_UPPER", strides=[2, 2])],
            {"x": real(1, 3, 5, 5)}, {"w": real(3, 2, 3, 3), "b": real(2)},
        ),
        "conv_transpose_output_shape": Case(
            [node("ConvTranspose", "x w", strides=[2, 2], output_shape=[10, 11])],
            {"x": real(1, 3, 5, 5)}, {"w": real(3, 2, 3, 3)},
        ),
        "conv_transpose_3d": Case(
            [node("ConvTranspose", "x w", strides=[2, 1, 2])],
            {"x": real(1, 3, 3, 4, 3)}, {"w": real(3, 2, 2, 3, 2)},
        ),
        "deform_conv": Case(
            [node("DeformConv", "x w o b m", group=2, offset_group=2, pads=[1, 0, 1, 0], strides=[2, 1])],
            {"x": real(2, 4, 6, 7), "o": real(2, 2 * 6 * 2, 3, 6) * 2, "m": real(2, 2 * 6, 3, 6)},
            {"w": real(6, 2, 3, 2), "b": real(6)}, opset=19,
        ),
        "fused_conv": Case(
            [node("FusedConv", "x w b z", domain=MICROSOFT, activation="Relu", pads=[1, 1, 1, 1])],
            {"x": real(1, 3, 6, 6), "z": real(1, 4, 6, 6)}, {"w": real(4, 3, 3, 3), "b": real(4)},
        ),
    }  # fmt: skip


def _products() -> dict[str, Case]:
    return {
        "gemm_row_offset": Case(
            [node("Gemm", "x w c")], {"x": real(5, 7)}, {"w": real(7, 3), "c": real(5, 1)}
        ),
        "gemm_matrix_offset_scaled": Case(
            [node("Gemm", "x w c", alpha=0.5, beta=2.0, transA=1, transB=1)],
            {"x": real(7, 5)}, {"w": real(3, 7), "c": real(5, 3)},
        ),
        "gemm_scalar_offset": Case(
            [node("Gemm", "x w c")], {"x": real(5, 7)}, {"w": real(7, 3), "c": real(1)}
        ),
        "gemm_weights_left": Case(
            [node("Gemm", "w x c", alpha=3.0)], {"x": real(7, 5)}, {"w": real(3, 7), "c": real(5)}
        ),
        "gemm_both_computed": Case(
            [node("Gemm", "x z c", alpha=0.25, transB=1)],
            {"x": real(5, 7), "z": real(3, 7), "c": real(5, 3)},
        ),
        "matmul_batched_weights": Case(
            [node("MatMul", "x w")], {"x": real(2, 3, 5, 7)}, {"w": real(3, 7, 4)}
        ),
        "matmul_broadcast_left": Case([node("MatMul", "x w")], {"x": real(5, 7)}, {"w": real(2, 3, 7, 4)}),
        "matmul_mixed_broadcast": Case(
            [node("MatMul", "x z")], {"x": real(2, 1, 3, 5, 7), "z": real(4, 1, 7, 2)}
        ),
        "matmul_vector_left": Case([node("MatMul", "x w")], {"x": real(7)}, {"w": real(3, 7, 4)}),
        "matmul_vector_right": Case([node("MatMul", "x w")], {"x": real(2, 5, 7)}, {"w": real(7)}),
        "matmul_weights_left": Case([node("MatMul", "w x")], {"x": real(2, 7, 5)}, {"w": real(3, 7)}),
        "matmul_one_matrix_for_all": Case(
            [node("MatMul", "x z")], {"x": real(2, 3, 5, 7), "z": real(1, 1, 7, 4)}
        ),
        "fused_matmul": Case(
            [node("FusedMatMul", "x z", domain=MICROSOFT, alpha=0.5, transB=1)],
            {"x": real(2, 5, 7), "z": real(2, 4, 7)}, macs=2 * 5 * 7 * 4,
        ),
        "fused_matmul_batches_inside": Case(
            [node("FusedMatMul", "x z", domain=MICROSOFT, transBatchA=1)],
            {"x": real(5, 2, 3, 7), "z": real(2, 3, 7, 4)}, macs=6 * 5 * 7 * 4,
        ),
        "fused_matmul_all_turned": Case(
            [node("FusedMatMul", "x z", domain=MICROSOFT, transA=1, transB=1, transBatchA=1, transBatchB=1)],
            {"x": real(7, 2, 3, 5), "z": real(4, 2, 3, 7)}, macs=6 * 5 * 7 * 4,
        ),
        "einsum_attention": Case(
            [node("Einsum", "q k", equation="bqhd,bkhd->bhqk")],
            {"q": real(2, 5, 3, 4), "k": real(2, 6, 3, 4)},
        ),
        "einsum_weights": Case(
            [node("Einsum", "x w", equation="...i,ij->...j")], {"x": real(2, 5, 7)}, {"w": real(7, 3)}
        ),
        "einsum_two_sums": Case(
            [node("Einsum", "x w", equation="abcd,cde->eab")],
            {"x": real(2, 3, 4, 5)}, {"w": real(4, 5, 6)},
        ),
        "einsum_diagonal": Case(
            [node("Einsum", "x z", equation="bii,bij->bj")],
            {"x": real(2, 4, 4), "z": real(2, 4, 3)}, macs=2 * 4 * 3,
        ),
        "einsum_implicit": Case(
            [node("Einsum", "x z", equation="ij,jk")], {"x": real(3, 4), "z": real(4, 5)}
        ),
        "einsum_elementwise": Case(
            [node("Einsum", "x z", "e", equation="ij,ij->ij"), node("MatMul", "e w")],
            {"x": real(3, 4), "z": real(3, 4)}, {"w": real(4, 5)}, macs=3 * 4 * 5,
        ),
        "matmul_in_a_function": Case(
            [
                node("Block", "x w", "h", domain="local", scale=2.0),
                node("Block", "h v", domain="local"),
            ],
            {"x": real(3, 4)}, {"w": real(4, 4), "v": real(4, 5)}, macs=3 * 4 * 4 + 3 * 4 * 5,
            functions=[_function()],
        ),
    }  # fmt: skip


def _function() -> onnx.FunctionProto:
    scaled = helper.make_node("Constant", [], ["s"])
    reference = onnx.AttributeProto(name="value_float", type=onnx.AttributeProto.FLOAT, ref_attr_name="scale")
    scaled.attribute.append(reference)
    function = helper.make_function(
        "local", "Block", ["a", "b"], ["r"],
        [scaled, node("MatMul", "a b", "p"), node("Mul", "p s", "r")], [helper.make_opsetid("", 17)],
    )  # fmt: skip
    function.attribute_proto.append(helper.make_attribute("scale", 0.5))
    return function


def _recurrent() -> dict[str, Case]:
    cases = {}
    for operator, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
        cases[operator.lower()] = Case(
            [node(operator, "x w r b", "y h", hidden_size=6)],
            {"x": real(5, 2, 3)},
            {"w": real(1, 6 * gates, 3), "r": real(1, 6 * gates, 6), "b": real(1, 12 * gates)},
            outputs=("y", "h"),
        )
        cases[f"{operator.lower()}_both_ways_with_lengths"] = Case(
            [node(operator, "x w r b lengths h0", "y h", hidden_size=4, direction="bidirectional")],
            {"x": real(6, 3, 2), "h0": real(2, 3, 4)},
            {
                "w": real(2, 4 * gates, 2), "r": real(2, 4 * gates, 4), "b": real(2, 8 * gates),
                "lengths": np.array([6, 2, 4], np.int32),
            },
            outputs=("y", "h"),
        )  # fmt: skip
    cases["lstm_reverse_peepholes"] = Case(
        [
            node(
                "LSTM", "x w r b - - - p", "y h c", hidden_size=4, direction="reverse",
                activations=["HardSigmoid", "Relu", "Tanh"], activation_alpha=[0.3], activation_beta=[0.4],
            )
        ],
        {"x": real(4, 2, 3)},
        {"w": real(1, 16, 3), "r": real(1, 16, 4) * 0.3, "b": real(1, 32), "p": real(1, 12)},
        outputs=("y", "h", "c"),
    )  # fmt: skip
    cases["lstm_only_last_state"] = Case(
        [node("LSTM", "x w r", "- h", hidden_size=4), node("MatMul", "h v", "y")],
        {"x": real(5, 1, 3)},
        {"w": real(1, 16, 3), "r": real(1, 16, 4), "v": real(4, 2)},
    )
    cases["gru_linear_before_reset"] = Case(
        [node("GRU", "x w r b", "y h", hidden_size=4, linear_before_reset=1)],
        {"x": real(5, 2, 3)},
        {"w": real(1, 12, 3), "r": real(1, 12, 4), "b": real(1, 24)},
        outputs=("y", "h"),
    )
    cases["lstm_integer_weights"] = Case(
        [node("DynamicQuantizeLSTM", "x w r b - - - - ws wz rs rz", "y", domain=MICROSOFT, hidden_size=4)],
        {"x": real(3, 2, 5)},
        {
            "w": codes(1, 5, 16), "r": codes(1, 4, 16), "b": real(1, 32),
            "ws": np.array([0.01], np.float32), "wz": np.array([0], np.int8),
            "rs": np.array([0.02], np.float32), "rz": np.array([0], np.int8),
        },
        tolerance=2e-3,
    )  # fmt: skip
    return cases


def _quantized() -> dict[str, Case]:
    scales = {"xs": scalar(0.05), "xz": scalar(3, np.uint8), "ys": scalar(0.7), "yz": scalar(128, np.uint8)}
    return {
        "matmul_integer": Case(
            [node("MatMulInteger", "x w xz wz")],
            {"x": codes(4, 6, dtype=np.uint8)},
            {"w": codes(6, 5), "xz": scalar(7, np.uint8), "wz": np.array([1, -2, 0, 3, 5], np.int8)},
        ),
        "conv_integer": Case(
            [node("ConvInteger", "x w xz", pads=[1, 1, 1, 1], group=2)],
            {"x": codes(1, 4, 5, 5, dtype=np.uint8)},
            {"w": codes(6, 2, 3, 3, dtype=np.uint8), "xz": scalar(7, np.uint8)},
        ),
        "qlinear_conv": Case(
            [node("QLinearConv", "x xs xz w ws wz ys yz b", pads=[1, 1, 1, 1])],
            {"x": codes(1, 3, 5, 5, dtype=np.uint8)},
            scales | {
                "w": codes(4, 3, 3, 3), "ws": np.array([0.01, 0.02, 0.03, 0.015], np.float32),
                "wz": np.zeros(4, np.int8), "b": codes(4, dtype=np.int32) // 1000000,
            },
        ),
        "qlinear_matmul": Case(
            [node("QLinearMatMul", "x xs xz w ws wz ys yz")],
            {"x": codes(4, 6, dtype=np.uint8)},
            scales | {"w": codes(6, 5, dtype=np.uint8), "ws": scalar(0.02), "wz": scalar(100, np.uint8)},
        ),
        "dynamic_quantize_matmul": Case(
            [node("DynamicQuantizeMatMul", "x w ws wz b", domain=MICROSOFT)],
            {"x": real(4, 6)},
            {"w": codes(6, 5), "ws": scalar(0.02), "wz": scalar(0, np.int8), "b": real(5)},
        ),
        "matmul_4_bits": Case(
            [node("MatMulNBits", "x w s z", domain=MICROSOFT, K=40, N=6, bits=4, block_size=16)],
            {"x": real(2, 3, 40)},
            {
                "w": codes(6, 3, 8, dtype=np.uint8), "s": np.abs(real(18)) * np.float32(0.1),
                "z": codes(6 * 2, dtype=np.uint8),
            },
            macs=2 * 3 * 40 * 6,
        ),
        "qdq_opset_13": Case(
            [
                node("QuantizeLinear", "x xs xz", "q"),
                node("DequantizeLinear", "q xs xz", "d"),
                node("DequantizeLinear", "w ws wz", "v", axis=0),
                node("Conv", "d v"),
            ],
            {"x": real(1, 3, 6, 6)},
            scales | {
                "w": codes(4, 3, 3, 3), "ws": np.array([0.01, 0.02, 0.03, 0.015], np.float32),
                "wz": np.zeros(4, np.int8),
            },
            opset=13,
        ),
    }  # fmt: skip


def _attention() -> dict[str, Case]:
    heads = {"q": real(2, 4, 5, 8), "k": real(2, 4, 6, 8), "v": real(2, 4, 6, 8)}
    grouped = {"q": real(1, 6, 3, 8), "k": real(1, 2, 3, 8), "v": real(1, 2, 3, 8)}
    packed = {"w": real(16, 48) * np.float32(0.2), "b": real(48)}
    return {
        "attention_opset_23": Case([node("Attention", "q k v")], heads, opset=23),
        "attention_grouped_causal_with_past": Case(
            [node("Attention", "q k v - pk pv", "y k2 v2", is_causal=1)],
            grouped | {"pk": real(1, 2, 4, 8), "pv": real(1, 2, 4, 8)}, outputs=("y", "k2", "v2"), opset=23,
            macs=6 * 3 * 7 * 16,
        ),
        "packed_attention": Case(
            [node("Attention", "x w b", domain=MICROSOFT, num_heads=4)],
            {"x": real(2, 5, 16)}, packed, macs=2 * 5 * 16 * 48 + 2 * 4 * 5 * 5 * 8,
        ),
        "packed_attention_causal_masked": Case(
            [node("Attention", "x w b m", domain=MICROSOFT, num_heads=2, unidirectional=1)],
            {"x": real(2, 5, 16)}, packed | {"m": np.array([[1] * 5, [1, 1, 1, 0, 0]], np.int32)},
            macs=2 * 5 * 16 * 48 + 2 * 2 * 5 * 5 * 16,
        ),
        "multi_head_attention": Case(
            [node("MultiHeadAttention", "q k v b", domain=MICROSOFT, num_heads=2)],
            {"q": real(2, 5, 8), "k": real(2, 6, 8), "v": real(2, 6, 8)}, {"b": real(24)},
            macs=2 * 2 * 5 * 6 * (4 + 4),
        ),
        "group_query_attention_prefill": Case(
            [
                node(
                    "GroupQueryAttention", "q k v - - lengths total", "y k2 v2", domain=MICROSOFT,
                    num_heads=4, kv_num_heads=2,
                )
            ],
            {"q": real(1, 5, 32), "k": real(1, 5, 16), "v": real(1, 5, 16)},
            {"lengths": np.array([4], np.int32), "total": scalar(5, np.int32)},
            outputs=("y", "k2", "v2"), macs=4 * 5 * 5 * (8 + 8),
        ),
        "group_query_attention_decode": Case(
            [
                node(
                    "GroupQueryAttention", "q k v pk pv lengths total cos sin", "y k2 v2", domain=MICROSOFT,
                    num_heads=4, kv_num_heads=2, do_rotary=1,
                )
            ],
            {
                "q": real(1, 1, 64), "k": real(1, 1, 32), "v": real(1, 1, 32), "pk": real(1, 2, 6, 16),
                "pv": real(1, 2, 6, 16),
            },
            {
                "lengths": np.array([6], np.int32), "total": scalar(7, np.int32), "cos": real(16, 8),
                "sin": real(16, 8),
            },
            outputs=("y", "k2", "v2"), macs=4 * 1 * 7 * (16 + 16),
        ),
        "skip_layer_normalization": Case(
            [
                node("SkipLayerNormalization", "x z g b", "n", domain=MICROSOFT),
                node("MatMul", "n w", "p"),
                node("BiasGelu", "p c", domain=MICROSOFT),
            ],
            {"x": real(2, 5, 8), "z": real(2, 5, 8)},
            {"g": real(8), "b": real(8), "w": real(8, 4), "c": real(4)},
        ),
    }  # fmt: skip


def _transforms() -> dict[str, Case]:
    return {
        # A real signal has one part, its spectrum two: N samples x (N/2 + 1) bins x 2.
        "dft_real_one_sided": Case(
            [node("DFT", "x", axis=1, onesided=1)], {"x": real(2, 10, 1)}, macs=2 * 10 * 6 * 2, opset=17
        ),
        "dft_complex_inverse": Case(
            [node("DFT", "x n a", inverse=1)], {"x": real(2, 8, 3, 2)},
            {"n": scalar(8, np.int64), "a": scalar(1, np.int64)}, macs=2 * 3 * (8 * 2) * (8 * 2), opset=20,
        ),
        # Half a spectrum of 6 bins, two parts each, to 10 real samples.
        "dft_one_sided_inverse": Case(
            [node("DFT", "x n a", inverse=1, onesided=1), ], {"x": real(2, 6, 2)},
            {"n": scalar(10, np.int64), "a": scalar(1, np.int64)}, macs=2 * (6 * 2) * 10, opset=20,
        ),
        "stft": Case(
            [node("STFT", "x step window")], {"x": real(1, 64, 1)},
            {"step": scalar(8, np.int64), "window": np.hanning(16).astype(np.float32)},
            macs=7 * 16 * 9 * 2,
        ),
    }  # fmt: skip


def _control() -> dict[str, Case]:
    squeezed = _subgraph([node("Squeeze", "c axis", "s")], [], ["s"])
    kept = _subgraph([node("Identity", "c", "i")], [], ["i"])
    step = _subgraph(
        [
            node("MatMul", "state w", "next"),
            node("Identity", "go", "on"),
            node("ReduceSum", "next last", "row", keepdims=0),
        ],
        [_value("at", TensorProto.INT64), _value("go", TensorProto.BOOL), _value("state", 1, 2, 4)],
        ["on", "next", "row"],
    )
    scanned = _subgraph(
        [node("MatMul", "part w", "p"), node("Add", "sum p", "new"), node("Identity", "new", "out")],
        [_value("sum", 1, 2, 3), _value("part", 1, 2, 4)],
        ["new", "out"],
    )

    def times(weights: str) -> onnx.GraphProto:
        return _subgraph([node("MatMul", f"z {weights}", f"y_{weights}")], [], [f"y_{weights}"])

    return {
        "if_on_a_shape": Case(
            [
                node("Conv", "x w", "c"),
                node("Shape", "c", "shape"),
                node("Gather", "shape one", "size"),
                node("Equal", "size one", "is_one"),
                node("If", "is_one", "b", then_branch=squeezed, else_branch=kept),
                node("MatMul", "b v"),
            ],
            {"x": real(2, 3, 6, 6)},
            {"w": real(1, 3, 3, 3), "v": real(4, 5), "one": integers(1), "axis": integers(1)},
        ),
        "sequence_less_one": Case(
            [
                node("SplitToSequence", "x", "rows", axis=0, keepdims=1),
                node("SequenceErase", "rows second", "left"),
                node("SequenceErase", "left", "fewer"),
                node("ConcatFromSequence", "fewer", "c", axis=0),
                node("MatMul", "c w"),
            ],
            {"x": real(5, 4)}, {"second": scalar(1, np.int64), "w": real(4, 3)}, macs=3 * 4 * 3,
        ),
        "normalized_by_groups": Case(
            [
                node("GroupNormalization", "x s o", "n", num_groups=2),
                node("MeanVarianceNormalization", "n", "m", axes=[0, 2, 3]),
                node("Conv", "m w"),
            ],
            {"x": real(1, 4, 5, 5)}, {"s": real(4), "o": real(4), "w": real(2, 4, 3, 3)},
            opset=21, macs=9 * 2 * 4 * 9,
        ),
        "scaled_by_ai_onnx_ml": Case(
            [
                node("Scaler", "x", "s", domain="ai.onnx.ml", offset=[0.5], scale=[2.0]),
                node("Normalizer", "s", "n", domain="ai.onnx.ml", norm="L2"),
                node("Binarizer", "n", "b", domain="ai.onnx.ml", threshold=0.25),
                node("MatMul", "b w"),
            ],
            {"x": real(3, 4)}, {"w": real(4, 5)}, macs=3 * 4 * 5,
        ),
        "if_a_value_is_there": Case(
            [
                node("Optional", "x", "maybe"),
                node("OptionalHasElement", "maybe", "is_there"),
                node("OptionalGetElement", "maybe", "z"),
                node("If", "is_there", "y", then_branch=times("then"), else_branch=times("other")),
            ],
            {"x": real(2, 4)}, {"then": real(4, 3), "other": real(4, 5)}, opset=18, macs=2 * 4 * 3,
        ),
        "if_no_value_is_there": Case(
            [
                node("OptionalHasElement", "-", "is_there"),
                node("If", "is_there", "y", then_branch=times("then"), else_branch=times("other")),
            ],
            {"z": real(2, 4)}, {"then": real(4, 3), "other": real(4, 5)}, opset=18, macs=2 * 4 * 5,
        ),
        "loop_of_three": Case(
            [node("Loop", "trips - x", "y rows", body=step)], {"x": real(2, 4)},
            {"trips": scalar(3, np.int64), "w": real(4, 4), "last": integers(1)},
            outputs=("y", "rows"), macs=3 * 2 * 4 * 4,
        ),
        "scan": Case(
            [node("Scan", "s x", "y rows", body=scanned, num_scan_inputs=1)],
            {"s": real(2, 3), "x": real(5, 2, 4)}, {"w": real(4, 3)},
            outputs=("y", "rows"), macs=5 * 2 * 4 * 3,
        ),
        "sequence": Case(
            [
                node("SplitToSequence", "x sizes", "parts", axis=1),
                node("SequenceAt", "parts zero", "a"),
                node("SequenceAt", "parts one", "b"),
                node("MatMul", "a w", "p"),
                node("MatMul", "b v", "q"),
                node("Add", "p q"),
            ],
            {"x": real(3, 7)},
            {
                "sizes": integers(3, 4), "zero": scalar(0, np.int64), "one": scalar(1, np.int64),
                "w": real(3, 5), "v": real(4, 5),
            },
        ),
        "shapes_of_shapes": Case(
            [
                node("Shape", "x", "shape"),
                node("Gather", "shape zero", "n"),
                node("Unsqueeze", "n axis0", "n1"),
                node("Concat", "n1 minus", "target", axis=0),
                node("ConstantOfShape", "four", "zeros", value=numpy_helper.from_array(integers(0))),
                node("Concat", "zeros edge", "edges", axis=0),
                node("Pad", "x edges", "padded"),
                node("Conv", "padded w", "c"),
                node("Reshape", "c target", "flat"),
                node("MatMul", "flat v"),
            ],
            {"x": real(2, 3, 6, 6)},
            {
                "zero": scalar(0, np.int64), "axis0": integers(0), "minus": integers(-1), "four": integers(4),
                "edge": integers(0, 0, 1, 1), "w": real(4, 3, 3, 3), "v": real(100, 5),
            },
        ),
        "infinity_and_integers": Case(
            [
                node("Gather", "table ids", "e"),
                node("MatMul", "e w", "p"),
                node("Max", "p low"),
            ],
            {"ids": np.array([[1, 3, 2]], np.int64)},
            {"table": real(5, 4), "w": real(4, 3), "low": scalar(-np.inf)},
        ),
        "product_of_constants": Case(
            [node("MatMul", "a b", "w"), node("MatMul", "x w")], {"x": real(3, 4)},
            {"a": real(4, 6), "b": real(6, 5)},
        ),
    }  # fmt: skip


_GROUPS: Sequence[Callable[[], dict[str, Case]]] = (
    _convolutions,
    _products,
    _recurrent,
    _quantized,
    _attention,
    _transforms,
    _control,
)

CASES: Mapping[str, Case] = {name: case for group in _GROUPS for name, case in group().items()}
"""Every graph by name."""
