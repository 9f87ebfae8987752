"""What is imported when: a command imports itself and what it needs, and no compiler before a kernel runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulator.cli.commands import COMMANDS
from tests.command import ROOT

HEAVY = frozenset(
    [
        "dask",
        "distributed",
        "jinja2",
        "llvmlite",
        "matplotlib",
        "numba",
        "onnx",
        "onnxruntime",
        "pandas",
        "PIL",
        "plotly",
        "pyarrow",
        "rich",
        "scipy",
        "simpy",
        "torch",
        "vcd",
    ]
)
"""Libraries that take longer to import than a short command takes."""

TOLD = "import sys, json; sys.stderr.write('\\n' + json.dumps(sorted(sys.modules)))"


def imported(program: str, cache: Path) -> set[str]:
    """The modules that a new Python process has imported when a program has ended."""
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\n{TOLD}"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "SYSTOLIC_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


def of_command(*arguments: str) -> str:
    return f"from simulator.cli import exit_code\nassert exit_code({list(arguments)!r}) == 0"


def heavy(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules} & HEAVY


def test_help_imports_no_command_and_neither_numpy_nor_pydantic(tmp_path: Path) -> None:
    modules = imported(of_command("--help"), tmp_path)
    assert heavy(modules) == set()
    assert {"numpy", "pydantic"}.isdisjoint(modules)
    own = {name for name in modules if name.startswith("simulator.")}
    assert {name.split(".")[1] for name in own} == {"cli", "foundation"}
    assert {f"simulator.cli.{place.module}" for place in COMMANDS.values()}.isdisjoint(own)


def test_the_package_and_its_interface_import_nothing_heavy(tmp_path: Path) -> None:
    assert {name for name in imported("import simulator", tmp_path) if name.startswith("simulator")} == {
        "simulator"
    }
    modules = imported("import simulator.api", tmp_path)
    assert heavy(modules) == set()
    assert "simulator.inference" not in modules


def test_a_second_simulation_needs_no_compiler(tmp_path: Path) -> None:
    """The first one searches for tilings, which is compiled; the second finds what it left."""
    program = of_command("simulate", "resnet18", "--json")
    assert "numba" in imported(program, tmp_path)
    again = imported(program, tmp_path)
    assert heavy(again) == set()
    commands = {f"simulator.cli.{place.module}" for place in COMMANDS.values()}
    assert commands & again == {"simulator.cli.simulate"}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_of_each_what_its_own_help_begins_with(name: str) -> None:
    from typer.core import TyperGroup
    from typer.main import get_command

    from simulator.cli.commands import app

    group = get_command(app)
    assert isinstance(group, TyperGroup)
    command = group.commands[name]
    assert (command.help or "").partition("\n\n")[0].replace("\n", " ").startswith(COMMANDS[name].summary)
