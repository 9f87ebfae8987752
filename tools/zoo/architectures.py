"""Every architecture of the zoo."""

from __future__ import annotations

from tools.zoo.architecture import Architecture
from tools.zoo.language import language_architectures
from tools.zoo.own_models import own_architectures
from tools.zoo.vision import vision_architectures


def architectures() -> list[Architecture]:
    """All of them, in the order in which the zoo runs and its table stands."""
    return [*language_architectures(), *own_architectures(), *vision_architectures()]
