"""What a result says of accuracy: of single layers, and of a network on images beside float32."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import Field

from simulator.formation import Part as _Part
from simulator.foundation.paired import PairedDifference, paired_outcomes


def pack_outcomes(right: Iterable[bool]) -> str:
    """Bits in hexadecimal, as `Accuracy.right` holds them; the last byte is filled up with zeros."""
    bits = "".join("1" if each else "0" for each in right)
    bits += "0" * (-len(bits) % 8)
    return "".join(f"{int(bits[start : start + 8], 2):02x}" for start in range(0, len(bits), 8))


def _unpacked(digits: str, count: int) -> list[bool]:
    bits = "".join(f"{int(digit, 16):04b}" for digit in digits)
    return [bit == "1" for bit in bits[:count]]


class LayerAccuracy(_Part):
    """A layer's output through the array's arithmetic against float32."""

    sqnr_db: float | None = None
    cosine: float | None = None
    largest_error: float | None = None
    saturated: int = 0
    underflowed: int = 0
    elements: int = 0


class OutputAccuracy(_Part):
    """An output of the network through the array's arithmetic against float32, over all images.

    `sqnr_db` is None where both are equal; all figures are None where shapes depend on the arithmetic.
    """

    shape: tuple[int, ...]
    sqnr_db: float | None = None
    cosine: float | None = None
    largest_error: float | None = None


class Accuracy(_Part):
    """Accuracy of a network with this arithmetic on labelled images, beside float32."""

    images: int
    top1: float | None = None
    top5: float | None = None
    top1_float32: float | None = None
    top5_float32: float | None = None
    agreement_with_float32: float | None = Field(
        None,
        description="Share of the answers that are float32's: of images, or of all places of a judged output"
        " that has more than one. None where the output has no answer to choose.",
    )
    perplexity: float | None = Field(
        None, description="Of next tokens, where the data are token ids and the judged output their logits."
    )
    perplexity_float32: float | None = None
    predicted_tokens: int | None = Field(None, description="Tokens that the perplexity is of.")
    judged: str = Field("", description="The output that top-1, top-5 and agreement are of.")
    outputs: dict[str, OutputAccuracy] = Field(default_factory=dict)
    policy: str = ""
    choices: dict[str, Any] = Field(default_factory=dict)
    data: str = ""
    preprocess: str = Field("", description="What was done to pixels, as `--preprocess` takes it.")
    labels_from: str = ""
    images_hash: str = ""
    right: str = Field(
        "",
        description="A bit for each image in hexadecimal, the first one the highest of the first byte:"
        " whether top-1 is right, or agrees with float32 where there are no labels. Empty where the judged"
        " output is not one row of values for each image.",
    )
    right_float32: str = Field("", description="Likewise for float32; empty where there are no labels.")

    @property
    def outcomes(self) -> list[bool]:
        """Whether each image is right; empty where the result does not say."""
        return _unpacked(self.right, self.images) if self.right else []

    @property
    def above_float32(self) -> PairedDifference | None:
        """How far top-1 is above that of float32, on the same images; None where there are no labels."""
        one, two = self.outcomes, _unpacked(self.right_float32, self.images)
        return paired_outcomes(one, two) if one and two else None
