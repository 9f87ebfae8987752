"""Can another package add formats, policies, importers and price tables, and is it named when at fault?"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.command import ROOT, Outcome
from tests.documented_pages import commands

PAGE = ROOT / "docs" / "extending.md"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def documented() -> dict[str, str]:
    """The files that the page shows: blocks whose first line is a comment with a path."""
    files = {}
    for _, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if named := re.match(r"# (\S+\.\w+)\n", text):
            files[named[1]] = text[named.end() :]
    return files


def documented_commands() -> list[str]:
    return [command.line for command in commands(PAGE)]


def install(folder: Path, files: dict[str, str]) -> None:
    """Files of a package, and the metadata that an installer makes of its `pyproject.toml`."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    project = tomllib.loads(files["pyproject.toml"])["project"]
    metadata = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    groups = project["entry-points"]
    text = "".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
        for group, points in groups.items()
    )
    (metadata / "entry_points.txt").write_text(text)


def one_format(
    module: str, value: str = "FAMILY", *, name: str = "theirs", version: str = "2.5"
) -> dict[str, str]:
    """A package with one format family in `module`."""
    return {
        "pyproject.toml": f'[project]\nname = "{name}"\nversion = "{version}"\n'
        f'[project.entry-points."systolic.formats"]\nodd = "{name}_formats:{value}"\n',
        f"{name}_formats.py": module,
    }


def systolic(folder: Path, *arguments: str) -> Outcome:
    """The command, in a process that finds packages in `folder`."""
    path = os.pathsep.join([str(folder), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "simulator", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of the page, and the files beside it."""
    folder = tmp_path_factory.mktemp("package")
    install(folder, documented())
    return folder


def test_the_page_adds_one_of_each_kind() -> None:
    files = documented()
    groups = tomllib.loads(files["pyproject.toml"])["project"]["entry-points"]
    assert set(groups) == {
        "systolic.formats",
        "systolic.policies",
        "systolic.importers",
        "systolic.price_tables",
    }
    assert len(documented_commands()) == 5


@pytest.mark.parametrize("command", documented_commands())
def test_every_command_of_the_page_runs_with_its_package(folder: Path, command: str) -> None:
    import shlex

    systolic(folder, *shlex.split(command)[1:]).must_succeed()


def test_without_the_package_the_names_are_unknown(tmp_path: Path) -> None:
    (tmp_path / "two.layers").write_text("first 1 1 1\n")
    systolic(tmp_path, "formats", "show", "oc8").must_refuse("unknown number format", "'oc8'")
    systolic(tmp_path, "simulate", "two.layers").must_refuse("unknown kind of network file", ".layers")
    tables = "tables=[my_dram]"
    systolic(tmp_path, "simulate", "alexnet", "--set", tables).must_refuse("unknown price table", "my_dram")
    infer = ("infer", "lenet5_fashion", "--data", "fashion_mnist_1000", "--policy", "gentle")
    systolic(tmp_path, *infer).must_refuse("unknown policy", "gentle")


def test_an_added_format_is_listed_priced_and_calibrated_by_what_it_says(folder: Path) -> None:
    listed = systolic(folder, "formats").must_succeed().stdout
    assert "ones' complement integer: oc<bits>, 2 to 16 bits" in listed
    facts = json.loads(systolic(folder, "formats", "show", "oc8", "--json").must_succeed().stdout)
    assert (facts["largest"], facts["lowest"], facts["has_negative_zero"]) == (127.0, -127.0, True)
    script = (
        "from simulator.cost.mac_parts import structure_of\n"
        "from simulator.inference.policies import default_policy\n"
        "from simulator.numerics import get_mac, multiply\n"
        "mac = get_mac('oc8 x oc8')\n"
        "print(default_policy(mac), [p.count for p in structure_of(mac).combinational['pe_multiply']])\n"
        "print(multiply(mac, [[0xFC, 2]], [[5], [0xFF]]).accumulators.tolist())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])},
        capture_output=True,
        text=True,
        check=True,
    )
    # 8 x 8 cells; -3 x 5 + 2 x minus zero.
    assert done.stdout.splitlines() == ["max [64]", "[[-15]]"]


def test_an_added_network_and_an_added_price_are_what_the_files_say(folder: Path) -> None:
    tables = "tables=[johnson2018_28nm, parts_28nm, sram_28nm, my_dram, interconnect_28nm]"
    command = ("simulate", "two.layers", "--set", "dram.type=my_dram", "--set", tables, "--json")
    result = json.loads(systolic(folder, *command).must_succeed().stdout)
    layers = result["layers"]
    assert [(layer["name"], layer["macs"]) for layer in layers] == [
        ("first", 64 * 128 * 256),
        ("second", 64 * 32 * 128),
    ]
    traffic = [each for layer in layers for each in layer["dram_bytes"].values()]
    moved_bytes = sum(each["moved_read"] + each["moved_write"] for each in traffic)
    assert moved_bytes > 0
    assert int(result["totals"]["dram_energy_fj"]) == moved_bytes * 8 * 3250


@pytest.mark.parametrize(
    ("files", "parts"),
    [
        (one_format("import nothing_of_this_name\n"), ["cannot be loaded", "ModuleNotFoundError"]),
        (one_format("FAMILY = 1 / 0\n"), ["cannot be loaded", "ZeroDivisionError"]),
        (one_format("X = 1\n"), ["cannot be loaded", "AttributeError"]),
        (one_format("FAMILY = 'oc8'\n"), ["wrong type", "'str'", "Family"]),
        (
            one_format(
                "import re\nfrom simulator.numerics.formats import Family\n"
                "FAMILY = Family('f', 'f', re.compile('int8'), None, ('int8',), '')\n"
            ),
            ["is a spec of the family 'integer' too", "'int8'"],
        ),
        (
            one_format(
                "import re\nfrom simulator.numerics.formats import Family\n"
                "FAMILY = Family('f', 'f', re.compile('zz9'), lambda match: 1 / 0, ('zz9',), '')\n"
            ),
            ["failed", "ZeroDivisionError"],
        ),
        (
            one_format(
                "import re\nfrom simulator.numerics.formats import Family, get_format\n"
                "FAMILY = Family('f', 'f', re.compile('zz9'), lambda _: get_format('int8'), ('zz9',), '')\n"
            ),
            ["an example that its family does not make", "'zz9'"],
        ),
        (
            one_format(
                "import re\nfrom simulator.numerics.formats import Family, get_format\n"
                "FAMILY = Family('f', 'f', re.compile('zz9'), lambda _: get_format('int99'), ('zz9',), '')\n"
            ),
            ["impossible width", "'int99'"],
        ),
    ],
)  # fmt: skip
def test_a_package_at_fault_is_named(tmp_path: Path, files: dict[str, str], parts: list[str]) -> None:
    install(tmp_path, files)
    systolic(tmp_path, "formats", "show", "zz9").must_refuse(
        "theirs 2.5", "'odd'", "systolic.formats", *parts
    )


def test_a_package_at_fault_harms_nobody_who_does_not_ask_for_it(tmp_path: Path) -> None:
    install(tmp_path, one_format("FAMILY = 1 / 0\n"))
    systolic(tmp_path, "formats", "show", "int8").must_succeed()
    systolic(tmp_path, "macs", "show", "e4m3 x e4m3").must_succeed()


def test_two_packages_with_one_name_are_both_named(tmp_path: Path) -> None:
    for name in ("theirs", "others"):
        install(tmp_path, one_format("FAMILY = None\n", name=name))
    (tmp_path / "theirs_formats.py").write_text(
        "import re\nfrom simulator.numerics.formats import Family\n"
        "FAMILY = Family('f', 'f', re.compile('zz9'), None, ('zz9',), '')\n"
    )
    (tmp_path / "others_formats.py").write_text((tmp_path / "theirs_formats.py").read_text())
    refused = systolic(tmp_path, "formats", "show", "zz9")
    refused.must_refuse("two packages", "others 2.5", "theirs 2.5", "'odd'")


@pytest.mark.parametrize(
    ("read", "parts"),
    [
        ("lambda path: [][1]", ["IndexError"]),
        ("lambda path: [path]", ["reads no network", "got 'list'", "allowed: Network"]),
    ],
)
def test_an_importer_that_fails_is_named(tmp_path: Path, read: str, parts: list[str]) -> None:
    install(
        tmp_path,
        {
            "pyproject.toml": '[project]\nname = "theirs"\nversion = "2.5"\n'
            '[project.entry-points."systolic.importers"]\nbad = "their_importer:BAD"\n',
            "their_importer.py": "from simulator.workload.importer import Importer\n"
            f"BAD = Importer(('.bad',), {read})\n",
            "x.bad": "",
        },
    )
    systolic(tmp_path, "simulate", "x.bad").must_refuse("theirs 2.5", "'bad'", *parts)


def test_a_package_without_the_table_that_it_names_is_named(tmp_path: Path) -> None:
    project = '[project]\nname = "theirs"\nversion = "2.5"\n'
    points = '[project.entry-points."systolic.price_tables"]\nabsent = "their_prices"\n'
    install(tmp_path, {"pyproject.toml": project + points, "their_prices/__init__.py": ""})
    refused = systolic(tmp_path, "simulate", "alexnet", "--set", "tables=[absent]")
    refused.must_refuse("theirs 2.5", "has no file absent.yaml")


def test_the_engine_of_the_page_is_chosen() -> None:
    blocks = [
        text for language, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")) if language == "python"
    ]
    names: dict[str, object] = {}
    (block,) = [each for each in blocks if '"zeros"' in each]
    exec(block, names)
    assert "zeros" in repr(names["result"])
