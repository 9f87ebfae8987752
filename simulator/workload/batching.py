"""The same network over another number of inputs at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from simulator.foundation import UserError
from simulator.foundation.whole_numbers import is_whole
from simulator.workload.layer import (
    BeyondRangeError,
    Layer,
    Network,
    PostOperation,
    convolution_layer,
    matrix_layer,
)


def with_batch(network: Network, batch: int) -> Network:
    """A network that computes `batch` inputs at once.

    Weights are shared by the batch, so M grows with it (convolutions, fully connected layers). A product of
    two computed tensors has its own second operand for every input, so the number of products grows.

    Raises:
        UserError: the batch is not positive, a layer's size does not split into the inputs it stood for, or
            grows beyond the simulator's range; then it says the largest batch of the network.
    """
    if not is_whole(batch):
        raise UserError("must be a whole number", location="batch", value=batch)
    if batch < 1:
        raise UserError("must be positive", location="batch", value=batch)
    batch = int(batch)
    if batch == network.batch:
        return network
    try:
        layers = _scaled_layers(network, batch)
    except BeyondRangeError as error:
        raise BeyondRangeError(
            f"is too large: {error.location} would be beyond the simulator's range",
            source=network.name,
            location="batch",
            value=batch,
            allowed=f"at most {_largest_batch(network, batch):,}",
        ) from error
    return replace(network, layers=layers, batch=batch)


def _scaled_layers(network: Network, batch: int) -> tuple[Layer, ...]:
    return tuple(_scale(layer, network, batch) for layer in network.layers)


def _largest_batch(network: Network, too_large: int) -> int:
    """The largest batch whose layers are all within the simulator's range, found by halving."""
    possible = network.batch
    while too_large - possible > 1:
        middle = (possible + too_large) // 2
        try:
            _scaled_layers(network, middle)
        except BeyondRangeError:
            too_large = middle
        else:
            possible = middle
    return possible


def _scale(layer: Layer, network: Network, batch: int) -> Layer:
    def scaled(count: int, what: str) -> int:
        per_input, remainder = divmod(count, network.batch)
        if remainder:
            raise UserError(
                f"cannot change the batch: {what} = {count} of layer {layer.name!r} is not a multiple of "
                f"the network's own batch",
                source=network.name,
                location="batch",
                value=network.batch,
            )
        return per_input * batch

    post_operations = tuple(
        replace(post, elements=scaled(post.elements, "post operation's elements"))
        for post in layer.post_operations
    )
    if layer.convolution is not None:
        convolution = replace(layer.convolution, batch=scaled(layer.convolution.batch, "batch"))
        batched = convolution_layer(
            layer.name, convolution, inputs=layer.inputs, post_operations=post_operations
        )
    else:
        batched = _scaled_product(layer, scaled, post_operations)
    return replace(batched, weights=layer.weights, weights_are_activations=layer.weights_are_activations)


def _scaled_product(
    layer: Layer, scaled: Callable[[int, str], int], post_operations: tuple[PostOperation, ...]
) -> Layer:
    own_operands = layer.weights_are_activations
    return matrix_layer(
        layer.name,
        "fc" if layer.kind == "fc" else "matmul",
        m=layer.m if own_operands else scaled(layer.m, "M"),
        n=layer.n_per_group,
        k=layer.k,
        products=scaled(layer.groups, "products") if own_operands else layer.groups,
        weights_are_activations=own_operands,
        inputs=layer.inputs,
        post_operations=post_operations,
    )
