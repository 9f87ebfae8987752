"""How many images go through a network together: few enough that large networks fit in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from simulator.foundation import UserError
from simulator.inference.arithmetic import Arithmetic, float32_product
from simulator.inference.execute import execute
from simulator.inference.images import Fingerprint, Parts, in_parts
from simulator.inference.inputs import Feed
from simulator.inference.layer_products import Product
from simulator.inference.model import Model
from simulator.numerics.array_types import Tensor

MOST_IMAGES: Final = 50
"""Images at a time through networks whose tensors are small."""

MOST_VALUES: Final = 1 << 21
"""Values of the largest tensor of a layer, above which fewer images go through together."""


BLOCK_IMAGES: Final = 16
"""Chunks are added up to blocks of at least this many images, which workers compute and stores keep."""


def chunks(model: Model, images: Parts) -> Iterator[Feed]:
    """Images in parts of `images_of_a_chunk`, each read when it is asked for."""
    return in_parts(images, images_of_a_chunk(model, images))


def hashed_chunks(model: Model, images: Parts, fingerprint: Fingerprint) -> Iterator[tuple[int, Feed]]:
    """`chunks` with the number of images before each, which a fingerprint takes in as it is read."""
    start = 0
    for part in chunks(model, images):
        fingerprint.add(part)
        yield start, part
        start += len(part)


def images_of_a_chunk(model: Model, images: Parts) -> int:
    """`chunk_size` in whole runs of a network that takes a fixed number of inferences at once."""
    together = model.run_size or 1
    size = chunk_size(model, images[:together])
    return max(together, size // together * together)


def chunk_size(model: Model, image: Feed, in_float32: Arithmetic = float32_product) -> int:
    """Images that go through a network together.

    It follows from the network and the size of an image alone: no result depends on memory or threads.

    Args:
        model: the network.
        image: one image, [1, ...]; it runs through the network in float32.
        in_float32: what computes its products.
    """
    largest = 1

    def watch(product: Product, activations: Tensor, second: Tensor | None) -> Tensor:
        nonlocal largest
        output = in_float32(product, activations, second)
        largest = max(largest, activations.size, output.size, 0 if second is None else second.size)
        return output

    try:
        output = execute(model, image, watch)
    except UserError:  # a network for batches of one size; a run says what is wrong with others
        return MOST_IMAGES
    largest = max(largest, np.size(output))
    return int(np.clip(MOST_VALUES // largest, 1, MOST_IMAGES))
