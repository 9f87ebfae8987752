"""Number formats, multiply-accumulates, exact and fast matrix products."""

from simulator.numerics.formats import Format, as_codes, get_format

__all__ = ["Format", "as_codes", "get_format"]
