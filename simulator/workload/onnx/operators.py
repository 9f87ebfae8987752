"""What the reader knows about ONNX operators, as data.

Operator names and operand positions follow the ONNX operator specification (https://onnx.ai/onnx/operators/).
An operator of the standard or of `ai.onnx.ml` that stands in no table here computes no product and counts as
elementwise work. One of another domain that stands in no table may be anything, so it is unsupported.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from simulator.workload.layer import PostOperationKind

PRODUCTS: Final = frozenset({"Conv", "MatMul"})
"""Operators that are products in a graph with sizes; `rules.py` turns all others into these."""

# Where an operator has its weights, if not second: layers are named after them.
SECOND_OPERANDS: Final[dict[str, int]] = {
    "QLinearConv": 3, "QLinearMatMul": 3, "QGemm": 3, "Attention": 1, "MatMulNBits": 1,
}  # fmt: skip

# Positions at which a graph input is a weight even where the file leaves its values out.
PARAMETER_POSITIONS: Final[dict[str, tuple[int, ...]]] = {
    "Conv": (1, 2),
    "ConvInteger": (1, 2, 3),
    "ConvTranspose": (1, 2),
    "QLinearConv": (1, 2, 3, 4, 5, 6, 7, 8),
    "Gemm": (1, 2),
    "BatchNormalization": (1, 2, 3, 4),
    "InstanceNormalization": (1, 2),
    "LayerNormalization": (1, 2),
    "PRelu": (1,),
    "LSTM": (1, 2, 3),
    "GRU": (1, 2, 3),
    "RNN": (1, 2, 3),
}

# Outputs describe a shape and carry no values of the input.
SHAPE_QUERIES: Final = frozenset({"OptionalHasElement", "Shape", "Size"})

# A value that may be missing is the value, where it is there.
OPTIONALS: Final = frozenset({"Optional", "OptionalGetElement"})

# Depend on chance, so that their outputs are data although they have no inputs that are.
RANDOM: Final = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)

# A factor and an offset per channel: folds into the weights and bias of the layer right before it.
AFFINE: Final = frozenset({"BatchNormalization", "Add", "Sub", "Mul", "Div"})

# Names, moves, copies or converts values. The number format is the architecture's choice, so the file's own
# quantization is no work.
_MOVES = """
    AsData BitCast Cast CastLike CenterCropPad Compress Concat ConcatFromSequence Constant ConstantOfShape
    DepthToSpace DequantizeBlocks DequantizeLinear Dropout Expand EyeLike Flatten Gather
    GatherElements GatherND Identity Optional OptionalGetElement OptionalHasElement Pad QuantizeLinear
    Reshape ReverseSequence RoundToInteger ScatterElements ScatterND Scatter SequenceAt SequenceConstruct
    SequenceEmpty SequenceErase SequenceInsert SequenceLength Slice SpaceToDepth Split SplitToSequence
    Squeeze TensorScatter Tile Transpose Unsqueeze Windows
    """
MOVES: Final = frozenset(_MOVES.split())

# Moves whose output holds every element of the first input exactly once: of a weight, the same weight again.
_REARRANGEMENTS = """
    Cast CastLike DequantizeBlocks DequantizeLinear Flatten Identity QuantizeLinear Reshape Squeeze Transpose
    Unsqueeze
    """
REARRANGEMENTS: Final = frozenset(_REARRANGEMENTS.split())

_BY_KIND: Final[dict[PostOperationKind, str]] = {
    "relu": "Clip Elu HardSigmoid HardSwish LeakyRelu Mish PRelu Relu Selu ThresholdedRelu",
    "pool": """
        AveragePool GlobalAveragePool GlobalLpPool GlobalMaxPool LpPool MaxPool ReduceMax ReduceMean ReduceMin
        ReduceSum
        """,
    "add": "Add Sub Sum Mean Col2Im",
    "other": "DeformedWindows",
}
"""Every other operator of the standard is work of the kind `other`."""

POST_OPERATIONS: Final[dict[str, PostOperationKind]] = {
    operator: kind for kind, operators in _BY_KIND.items() for operator in operators.split()
}

ELEMENTWISE_DOMAINS: Final = ("", "ai.onnx.ml")
"""Domains whose operators compute no products besides those of `rules.py` and control flow."""

CONTROL_FLOW: Final = frozenset({"If", "Loop", "Scan", "SequenceMap"})


@cache
def standard_operators(domain: str = "") -> frozenset[str]:
    """Every operator that the onnx package defines in a domain."""
    from onnx import defs

    return frozenset(schema.name for schema in defs.get_all_schemas() if schema.domain == domain)


def post_operation(operator: str, domain: str) -> PostOperationKind | None:
    """The kind of work of an operator that computes no product; None where nobody knows what it computes."""
    if domain in ("", "systolic") and operator in POST_OPERATIONS:
        return POST_OPERATIONS[operator]
    known = domain in ELEMENTWISE_DOMAINS and operator in standard_operators(domain)
    return "other" if known and operator not in CONTROL_FLOW else None
