"""The page of ONNX operators: what becomes of each, from the reader's own tables."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.workload.onnx.operators import (
    CONTROL_FLOW,
    ELEMENTWISE_DOMAINS,
    MOVES,
    SHAPE_QUERIES,
    post_operation,
    standard_operators,
)
from simulator.workload.onnx.rules import MICROSOFT, RULES

_HEAD = """\
# ONNX operators

`systolic simulate` and `systolic infer` read ONNX files with one reader (`simulator/workload/onnx/`) and work on the same graph, so
what is priced is what is computed. This page is written from the reader's tables by `make docs`.

## Operators that compute products

Rules turn each of these into matrix products, which are layers of the network and go through the MAC, and elementwise work. `Conv` in
other than two dimensions becomes `Conv` in two; an LSTM, GRU or RNN has one product for the inputs of all steps and one for each step.
"""

_TAIL = """\
## Control flow

`If` with a known condition is replaced by its branch; `Loop` and `Scan` with a known number of steps are written out. On data they are
refused by name. `--skip-unsupported` leaves them out, and passes on the shapes that both branches of an `If` share.

## Everything else

Operators of other domains that stand on no list here may compute anything. They are refused by name, or left out with
`--skip-unsupported`.

`systolic infer` runs all that is no product with ONNX's reference evaluator, and with NumPy where that is slow, lacks an operator or
computes it otherwise than its operator set says. What neither knows (MaxRoiPool, for instance) is refused by name before anything runs.
ONNX Runtime does not step in: results would then depend on its version and on the machine.

## Where results differ from ONNX Runtime

Resize, poolings, and operators that slice, pad, gather, scatter, reduce, sample and quantize are compared with ONNX Runtime for random
attributes, ranks, types and operator sets (`tests/numbers/test_random_nodes.py`, `test_resizing.py`, `test_pooling.py`). Where it and ONNX's
reference evaluator disagree, the text of the standard decides:

- **Resize** with `tf_crop_and_resize` crops every axis, and an axis that keeps its length is still resampled where its scale is not 1; ONNX
  Runtime copies axes of scale 1, and whole tensors that keep their sizes. Antialiased `int8` saturates; there it wraps around.
- **Attention** with `is_causal`: a query sees the keys of the past and those up to its own place, whatever the number of new keys.
  ONNX Runtime counts from the last key. What a mask hides is -infinity in `qk_matmul_output`, not the lowest float.
- **ConvTranspose** with `SAME_UPPER` or `SAME_LOWER` gives size x stride, with zeros behind where filters are narrower than strides; ONNX
  Runtime gives a smaller result.
- **AveragePool, LpPool, MaxPool**: `SAME` takes dilations into account, and `VALID` has the standard's length with `ceil_mode`.
- **QLinearSoftmax** of a single element saturates at the largest code; ONNX Runtime's wraps around to 0.
- **Sigmoid** is exact to float32; ONNX Runtime's is an approximation ([models](model_corpus.md)).
"""


def onnx_page() -> str:
    """The text of docs/onnx_operators.md."""
    sections = [_HEAD]
    for domain, title in (("", "ONNX standard"), (MICROSOFT, "ONNX Runtime (`com.microsoft`)")):
        products = [name for (where, name), rule in RULES.items() if where == domain and rule.is_product]
        sections.append(f"**{title}**: {_listed(products)}.\n")
    others = [name for (where, name), rule in RULES.items() if where == MICROSOFT and not rule.is_product]
    sections.append(
        "ONNX Runtime writes these too; they become the elementwise operators that they stand for: "
        f"{_listed(others)}.\n"
    )
    sections.append("## Work between products\n")
    sections.append("| counted as | operators |\n|---|---|")
    kinds: dict[str, list[str]] = {}
    for name in sorted(standard_operators()):
        if (("", name) in RULES and RULES["", name].is_product) or name in CONTROL_FLOW:
            continue
        if name in MOVES or name in SHAPE_QUERIES:
            kinds.setdefault("nothing", []).append(name)
        else:
            kinds.setdefault(post_operation(name, "") or "nothing", []).append(name)
    order = ("relu", "pool", "add", "other", "nothing")
    sections.extend(f"| {kind} | {_listed(kinds[kind])} |" for kind in order)
    learned = [standard_operators(domain) for domain in ELEMENTWISE_DOMAINS if domain]
    sections.append(f"| other | `ai.onnx.ml`: {_listed(name for names in learned for name in names)} |\n")
    sections.append(_TAIL)
    return "\n".join(sections)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
