"""What a result of inference says, to the last bit, so that two of them can be compared."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from simulator.inference.run_inference import InferenceResult


def figures_of(result: InferenceResult) -> dict[str, Any]:
    """All that a result says but its outputs, ready for JSON, which writes floats to the last bit."""
    return {
        "accuracy": result.accuracy.model_dump(mode="json"),
        "layers": {name: each.model_dump(mode="json") for name, each in result.layers.items()},
        "sums": {name: asdict(each) for name, each in result.sums.items()},
        "engines": dict(result.engines),
        "warnings": result.warnings,
    }
