"""What is tried and how: the modules with their tests, and the mutants known to be equivalent."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from simulator.foundation import UserError
from simulator.foundation.documents import read_text, validate
from tools.mutants.sites import Mutant

Positive = Annotated[int, Field(ge=1)]
Kernels = Literal["compiled", "interpreted"]


class _Checked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModuleSettings(_Checked):
    """A module's own tests, and the share of its mutants that they must kill.

    `kernels` says whether numba compiles the kernels that the tests reach, or Python interprets them.
    """

    tests: Annotated[tuple[str, ...], Field(min_length=1)]
    wanted: Annotated[float, Field(ge=0, le=1)] = 0.95
    kernels: Kernels = "compiled"


class Settings(_Checked):
    """The table of modules.

    Attributes:
        mutants: how many are tried of each module.
        seed: decides which.
        jobs: how many are tried at a time.
        timeout_factor: a mutant's tests may take this many times as long as the unchanged ones without caches,
        timeout_floor_s: and this much longer.
        modules: tests and wanted ratio by the module's path.
    """

    mutants: Positive = 15
    seed: int = 1
    jobs: Positive = 2
    timeout_factor: Annotated[float, Field(ge=1)] = 3.0
    timeout_floor_s: Annotated[float, Field(ge=0)] = 20.0
    modules: dict[str, ModuleSettings]

    def overridden(self, changes: dict[str, Any]) -> Settings:
        """These settings with some replaced. Raises UserError for a value that is not allowed."""
        return validate(Settings, {**self.model_dump(), **changes}, source="command line")


class Equivalent(_Checked):
    """A mutant that no test can tell from the original, and why.

    `function`, `line` (its text) and `mutant` (the changed text) find it wherever it stands in the module;
    `occurrence` picks one where a function has the same line several times, else the entry holds for all.
    """

    module: str
    function: str
    line: str
    mutant: str
    reason: Annotated[str, Field(min_length=1)]
    occurrence: Positive | None = None

    def is_about(self, mutant: Mutant) -> bool:
        """Whether this entry names `mutant`."""
        mine = (self.module, self.function, self.line, self.mutant)
        its = (mutant.module, mutant.function, mutant.original, mutant.mutated)
        return mine == its and self.occurrence in (None, mutant.occurrence)


class _Equivalents(_Checked):
    equivalent: tuple[Equivalent, ...] = ()


def load_settings(path: Path, root: Path) -> Settings:
    """The table of modules in a TOML file.

    Raises:
        UserError: unreadable, an unknown or wrong field, or a module or test that is not under `root`.
    """
    settings = validate(Settings, _load_toml(path), source=path)
    for module, of_module in settings.modules.items():
        for name in (module, *of_module.tests):
            if not (root / name.partition("::")[0]).exists():
                raise UserError("does not exist", source=path, location=f'modules."{module}"', value=name)
    return settings


def load_equivalents(path: Path) -> tuple[Equivalent, ...]:
    """The known equivalent mutants in a TOML file; none where there is no such file.

    Raises:
        UserError: unreadable, or an unknown or wrong field.
    """
    if not path.exists():
        return ()
    return validate(_Equivalents, _load_toml(path), source=path).equivalent


def select(settings: Settings, names: Iterable[str]) -> dict[str, ModuleSettings]:
    """The named modules, or all where none is named.

    Raises:
        UserError: a name that the table does not have.
    """
    names = list(names)
    for name in names:
        if name not in settings.modules:
            raise UserError(
                "has no tests in the table", location=name, value=name, candidates=settings.modules
            )
    return {name: settings.modules[name] for name in names or settings.modules}


def _load_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"is not valid TOML: {error}", source=path) from error
