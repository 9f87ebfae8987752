"""A seal on the text of a stored result: the key it is stored under, and a checksum of every byte.

A sealed text is a result's JSON with `"sealed":{"key":...,"sha256":...}` as its last field. The checksum is
over the key and all the text before the seal, so that a flipped bit, a lost tail or a file under another name
is noticed whoever reads it.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from simulator.foundation import UserError

FIELD: Final = "sealed"
_SEAL: Final = re.compile(r',"sealed":\{"key":"([0-9a-f]{64})","sha256":"([0-9a-f]{64})"\}\}\n')
_SEAL_CHARACTERS: Final = len(f',"{FIELD}":{{"key":"{64 * "0"}","sha256":"{64 * "0"}"}}}}\n')


def seal(text: str, key: str) -> str:
    """The text of a JSON object with its seal as the last field, on one line."""
    body = text.rstrip().removesuffix("}")
    return f'{body},"{FIELD}":{{"key":"{key}","sha256":"{_digest(body, key)}"}}}}\n'


def require_seal(text: str, *, source: object, key: str | None = None) -> None:
    """Refuse a text that is not as it was sealed, or sealed under another key.

    Raises:
        UserError: no seal at its end, another checksum, or another key than `key` where one is given.
    """
    found = _SEAL.fullmatch(text[-_SEAL_CHARACTERS:])
    if found is None:
        raise UserError("is truncated or changed: its seal is missing", source=source, location=FIELD)
    own_key, digest = found.groups()
    if _digest(text[:-_SEAL_CHARACTERS], own_key) != digest:
        raise UserError("is changed: its checksum differs", source=source, location=f"{FIELD}.sha256")
    if key is not None and key != own_key:
        raise UserError("belongs to another point", source=source, location=f"{FIELD}.key", value=own_key)


def _digest(body: str, key: str) -> str:
    return hashlib.sha256(f"{key}\n{body}".encode()).hexdigest()
