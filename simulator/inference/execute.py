"""Walking a network's operators with one arithmetic for its products."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.inference.arithmetic import Arithmetic
from simulator.inference.model import Model, Operator

Tensor = NDArray[Any]


def execute(model: Model, images: NDArray[np.float32], arithmetic: Arithmetic) -> Tensor:
    """The network's judged output for a batch of images; see `execute_outputs`."""
    return execute_outputs(model, images, arithmetic, (model.output,))[model.output]


def execute_outputs(
    model: Model, images: NDArray[np.float32], arithmetic: Arithmetic, names: Collection[str]
) -> dict[str, Tensor]:
    """Tensors of the network for a batch of images, by name; products are computed by `arithmetic`.

    Products come in execution order, everything else runs in float32. A tensor is forgotten after its last
    use, unless it is among `names`.

    Raises:
        UserError: an operator that cannot work on the tensors it gets.
    """
    uses = Counter(name for operator in model.operators for name in operator.inputs)
    values: dict[str, Tensor] = {**model.constants, model.input: images}
    for operator in model.operators:
        try:
            outputs = _run(operator, values, arithmetic)
        except UserError as error:
            if error.source is not None:
                raise
            raise UserError(str(error), source=model.path, location=operator.name) from error
        except (ValueError, TypeError, IndexError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"{operator.kind} cannot be executed: {reason}", source=model.path, location=operator.name
            ) from error
        values.update((name, value) for name, value in zip(operator.outputs, outputs, strict=False) if name)
        for name in operator.inputs:
            uses[name] -= 1
            if not uses[name] and name not in model.constants and name not in names:
                values.pop(name, None)
    return {name: values[name] for name in names}


def _run(operator: Operator, values: dict[str, Tensor], arithmetic: Arithmetic) -> Any:
    product = operator.product
    if product is not None:
        second = values[product.second] if product.second is not None else None
        return (arithmetic(product, values[product.activation], second),)
    assert operator.evaluate is not None
    return operator.evaluate([values[name] if name else None for name in operator.inputs])
