"""Arrays and real numbers in JSON without the loss of a bit: what plans and blocks are kept as."""

from __future__ import annotations

import base64
import binascii
from math import prod
from typing import Annotated, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer

from simulator.foundation import UserError
from simulator.foundation.documents import validate
from simulator.foundation.reading.json_documents import parse_json
from simulator.result_seal import FIELD as SEALED

_KINDS = "biuf"
"""Truth, signed and unsigned integers, real numbers."""


class Section(BaseModel):
    """A part of a kept document: fields that it does not have are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Document = TypeVar("Document", bound=Section)


def read_document(kind: type[Document], text: str, *, source: object, what: str) -> Document:
    """A kept document, whose seal may stand at its end. Raises UserError where the text is none."""
    document = parse_json(text, source=source, what=what)
    document.pop(SEALED, None)
    return validate(kind, document, source=source)


def _real(value: object) -> object:
    return float.fromhex(value) if isinstance(value, str) else value


Real = Annotated[float, BeforeValidator(_real), PlainSerializer(float.hex, return_type=str)]
"""A float as C99 writes it in hexadecimal; infinity and NaN have their names."""


class ArraySection(Section):
    """An array of numbers: NumPy's name of its type with the byte order, its shape, its bytes in base 64."""

    dtype: str
    shape: tuple[int, ...]
    base64: str

    @classmethod
    def of(cls, array: NDArray[Any]) -> ArraySection:
        """Of an array, in the order of C."""
        contiguous = np.ascontiguousarray(array).reshape(array.shape)
        content = base64.b64encode(contiguous.tobytes()).decode("ascii")
        return cls(dtype=contiguous.dtype.str, shape=array.shape, base64=content)

    def array(self) -> NDArray[Any]:
        """The array. Raises UserError: another type than of numbers, or bytes that are not its shape's."""
        try:
            dtype = np.dtype(self.dtype)
            content = base64.b64decode(self.base64, validate=True)
        except (TypeError, ValueError, binascii.Error) as error:
            raise UserError("is no array", location="dtype", value=self.dtype) from error
        if dtype.kind not in _KINDS or min(self.shape, default=0) < 0:
            raise UserError("is no array of numbers", location="dtype", value=self.dtype)
        if len(content) != prod(self.shape) * dtype.itemsize:
            raise UserError("does not hold the bytes of its shape", location="shape", value=self.shape)
        return np.frombuffer(bytearray(content), dtype).reshape(self.shape)
