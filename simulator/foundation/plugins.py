"""What other packages add: objects that they name in an entry point group of their own metadata.

A package that is installed beside the simulator adds a format family, a conversion policy, an importer of
networks or a price table by a line in its `pyproject.toml` (docs/extending.md). Nothing is loaded before a
name is asked for that the simulator does not know itself, and names that it knows keep their meaning.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from itertools import pairwise
from typing import Any, Generic, TypeVar

from simulator.foundation.errors import UserError

Added = TypeVar("Added")


@dataclass(frozen=True, slots=True)
class Plugin(Generic[Added]):
    """One object that another package adds, under a name in an entry point group."""

    group: str
    name: str
    package: str
    """Name and version."""

    value: Added

    @property
    def source(self) -> str:
        """How messages name it."""
        return f"{self.package}, entry point {self.name!r} of {self.group}"


@cache
def plugins(group: str, expected: type[Added]) -> tuple[Plugin[Added], ...]:
    """The objects of an entry point group such as `systolic.formats`, by name; each of type `expected`.

    Raises:
        UserError: naming package and entry point: it cannot be imported, it is of another type, or two
            packages use one name.
    """
    found = tuple(_loaded(group, expected))
    for first, second in pairwise(found):
        if first.name == second.name:
            raise UserError(
                f"is added by two packages, {first.package} and {second.package}; uninstall one of them",
                source=f"entry point group {group}",
                value=first.name,
            )
    return found


@contextmanager
def blaming(plugin: Plugin[Any]) -> Iterator[None]:
    """Turn whatever fails inside into a UserError that names the package; its own UserErrors pass."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"failed: {type(error).__name__}: {error}", source=plugin.source) from error


def _loaded(group: str, expected: type[Added]) -> Iterator[Plugin[Added]]:
    for point in sorted(entry_points(group=group), key=lambda point: (point.name, _package(point))):
        plugin = Plugin(group, point.name, _package(point), point)
        try:
            value = point.load()
        except Exception as error:  # whatever the import of another package raises
            raise UserError(
                f"{point.value} cannot be loaded: {type(error).__name__}: {error}", source=plugin.source
            ) from error
        if not isinstance(value, expected):
            raise UserError(
                f"{point.value} is of the wrong type",
                source=plugin.source,
                value=type(value).__name__,
                allowed=expected.__name__,
            )
        yield Plugin(group, point.name, plugin.package, value)


def _package(point: EntryPoint) -> str:
    return "a package without metadata" if point.dist is None else f"{point.dist.name} {point.dist.version}"
