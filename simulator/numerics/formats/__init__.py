"""Number formats by their spec strings.

A family of formats is one module with a tuple `FAMILIES`; it is registered by a line in `_REGISTERED` here.
Another package registers one as an entry point of `PLUGIN_GROUP` (docs/extending.md).
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import chain
from typing import Final

from simulator.foundation import UserError
from simulator.foundation.plugins import Plugin, blaming, plugins
from simulator.numerics.formats import fixed_point, log, minifloat, posit, sign_magnitude, standard_float
from simulator.numerics.formats.code_tables import TABLE_BITS
from simulator.numerics.formats.codes import as_codes
from simulator.numerics.formats.number_format import Family, Format

_REGISTERED = (fixed_point, sign_magnitude, minifloat, standard_float, log, posit)

FAMILIES: Final[tuple[Family, ...]] = tuple(chain.from_iterable(module.FAMILIES for module in _REGISTERED))
"""The simulator's own families."""

PLUGIN_GROUP: Final = "systolic.formats"
"""Entry points of other packages: a `Family` each."""

_BLANKS_OUTSIDE_NUMBERS: Final = re.compile(r"(?<![0-9])\s+|\s+(?![0-9\s])", re.ASCII)


def get_format(spec: str | Format) -> Format:
    """The format that a spec string names; a format is returned as it is.

    Capitals do not matter, nor do blanks, except within a number. Numbers are ASCII digits without leading
    zeros. `docs/formats.md` describes the families.

    Raises:
        UserError: no family has such a spec (the nearest one is suggested), or its widths cannot be.
    """
    if isinstance(spec, Format):
        return spec
    if not isinstance(spec, str):
        raise UserError(
            "a number format is named by a string", value=spec, allowed="such as 'int8' or 'e4m3'"
        )
    if not spec.isascii():
        raise UserError("a number format is written in ASCII characters", value=spec)
    return _format(spec)


@lru_cache(maxsize=1024)
def _format(spec: str) -> Format:
    name = _BLANKS_OUTSIDE_NUMBERS.sub("", spec).lower()
    for family in FAMILIES:
        if match := family.pattern.fullmatch(name):
            return family.build(match)
    for plugin in _added():
        if match := plugin.value.pattern.fullmatch(name):
            with blaming(plugin):
                return plugin.value.build(match)
    raise UserError(
        "unknown number format",
        value=spec,
        allowed="; ".join(family.syntax for family in families()),
        candidates=example_specs(),
    )


def families() -> tuple[Family, ...]:
    """The simulator's own families, then those of other packages.

    Raises:
        UserError: a package's family cannot be loaded, has no examples, or claims specs of another family.
    """
    return (*FAMILIES, *(plugin.value for plugin in _added()))


def family_of(fmt: Format) -> Family:
    """The family that a format belongs to."""
    own = (family for family in FAMILIES if family.name == fmt.family)
    return next(own, None) or next(each.value for each in _added() if each.value.name == fmt.family)


@lru_cache(maxsize=1)
def _added() -> tuple[Plugin[Family], ...]:
    found = plugins(PLUGIN_GROUP, Family)
    for plugin in found:
        _check_examples(plugin, [*FAMILIES, *(other.value for other in found if other is not plugin)])
    return found


def _check_examples(plugin: Plugin[Family], others: list[Family]) -> None:
    """Refuse a family whose examples are not its own. Raises UserError, which names the package."""
    if not plugin.value.examples:
        raise UserError("has no examples of its specs", source=plugin.source)
    for spec in plugin.value.examples:
        owner = next((other.name for other in others if other.pattern.fullmatch(spec)), None)
        if owner is not None:
            raise UserError(f"is a spec of the family {owner!r} too", source=plugin.source, value=spec)
        match = plugin.value.pattern.fullmatch(spec)
        try:
            with blaming(plugin):
                made = None if match is None else plugin.value.build(match)
                facts = None if made is None else (made.spec, made.family)
        except UserError as error:
            if error.source == plugin.source:
                raise
            raise UserError(str(error), source=plugin.source) from error
        if facts != (spec, plugin.value.name):
            raise UserError(
                "is an example that its family does not make, or calls by another spec or family",
                source=plugin.source,
                value=spec,
            )


def located_format(spec: str, source: str, location: str) -> Format:
    """As `get_format`, for a spec that stands in a document; its errors name the document and the field."""
    try:
        return get_format(spec)
    except UserError as error:
        raise UserError(str(error), source=source, location=location) from error


def is_format(spec: str) -> bool:
    """Whether a spec string names a format."""
    try:
        get_format(spec)
    except UserError:
        return False
    return True


def example_specs() -> tuple[str, ...]:
    """Specs worth knowing, family by family."""
    return tuple(chain.from_iterable(family.examples for family in families()))


__all__ = [
    "FAMILIES",
    "TABLE_BITS",
    "Family",
    "Format",
    "as_codes",
    "example_specs",
    "families",
    "family_of",
    "get_format",
    "is_format",
    "located_format",
]
