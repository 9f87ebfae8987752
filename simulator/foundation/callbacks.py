"""How long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called as `progress(what, done, total)`."""

Advance = Callable[[int, int], None]
"""Called as `advance(done, total)`."""
