"""What the ONNX importer knows about operators, as data.

Operator names and operand positions follow the ONNX operator specification (https://onnx.ai/onnx/operators/).
An operator that stands in no table here may multiply and accumulate, so it counts as unsupported.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from simulator.workload.layer import PostOperationKind


class Operands(NamedTuple):
    """Which inputs of an operator are its two operands and its bias, by position."""

    first: int
    second: int
    bias: int | None = None


CONVOLUTIONS: Final[dict[str, Operands]] = {
    "Conv": Operands(0, 1, 2),
    "ConvInteger": Operands(0, 1),
    "QLinearConv": Operands(0, 3, 8),
}

PRODUCTS: Final[dict[str, Operands]] = {
    "Gemm": Operands(0, 1, 2),
    "MatMul": Operands(0, 1),
    "MatMulInteger": Operands(0, 1),
    "QLinearMatMul": Operands(0, 3),
}

# Positions at which a graph input is a weight even where the file leaves its values out.
PARAMETER_POSITIONS: Final[dict[str, tuple[int, ...]]] = {
    "Conv": (1, 2),
    "ConvInteger": (1, 2, 3),
    "QLinearConv": (1, 2, 3, 4, 5, 6, 7, 8),
    "Gemm": (1, 2),
    "BatchNormalization": (1, 2, 3, 4),
    "InstanceNormalization": (1, 2),
    "LayerNormalization": (1, 2),
    "PRelu": (1,),
}

# Outputs describe a shape and carry no values of the input.
SHAPE_QUERIES: Final = frozenset({"Shape", "Size"})

# A factor and an offset per channel: folds into the weights and bias of the layer right before it.
AFFINE: Final = frozenset({"BatchNormalization", "Add", "Sub", "Mul", "Div"})

# Names, moves, copies or converts values. The number format is the architecture's choice, so the file's own
# quantization is no work.
_MOVES = """
    Cast CastLike Concat ConcatFromSequence DepthToSpace DequantizeLinear Dropout Expand Flatten Gather
    GatherElements GatherND Identity Pad QuantizeLinear Reshape Slice SpaceToDepth Split SplitToSequence
    Squeeze Tile Transpose Unsqueeze
    """
MOVES: Final = frozenset(_MOVES.split())

# Moves whose output holds every element of the first input exactly once: of a weight, the same weight again.
_REARRANGEMENTS = """
    Cast CastLike DequantizeLinear Flatten Identity QuantizeLinear Reshape Squeeze Transpose Unsqueeze
    """
REARRANGEMENTS: Final = frozenset(_REARRANGEMENTS.split())

_BY_KIND: Final[dict[PostOperationKind, str]] = {
    "relu": "Clip Elu HardSigmoid HardSwish LeakyRelu Mish PRelu Relu Selu ThresholdedRelu",
    "pool": """
        AveragePool GlobalAveragePool GlobalLpPool GlobalMaxPool LpPool MaxPool ReduceMax ReduceMean ReduceMin
        ReduceSum
        """,
    "add": "Add Sub Sum Mean",
    "other": """
        Abs And ArgMax ArgMin BatchNormalization Ceil Celu Cos CumSum Div
        DynamicQuantizeLinear Equal Erf Exp Floor Gelu Greater GreaterOrEqual GroupNormalization Hardmax
        InstanceNormalization IsInf IsNaN LRN LayerNormalization Less LessOrEqual Log LogSoftmax
        LpNormalization Max MeanVarianceNormalization Min Mod Mul Neg NonMaxSuppression Not Or Pow
        Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceProd ReduceSumSquare
        Resize RMSNormalization Round Shrink Sigmoid Sign Sin Softmax Softplus Softsign Sqrt Swish Tanh TopK
        Trilu Upsample Where Xor
        """,
}

POST_OPERATIONS: Final[dict[str, PostOperationKind]] = {
    operator: kind for kind, operators in _BY_KIND.items() for operator in operators.split()
}
