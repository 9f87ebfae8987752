"""Does `make mutants` say what became of each mutant, and does it leave the tree as it was?"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.command import ROOT
from tools.mutants.__main__ import main
from tools.mutants.imports import dependents
from tools.mutants.settings import load_equivalents, load_settings
from tools.mutants.sites import Mutant, mutants_of
from tools.mutants.workplace import forget

LARGER = """\
def larger(a: int, b: int) -> int:
    if a > b:
        return a
    return b
"""

DOUBLED = """\
def doubled(n: int) -> int:
    return n * 2
"""

SHIFTED = """\
def shifted(n: int) -> int:
    return n - 5
"""

LOOP = """\
def down_to_zero(n: int) -> int:
    while n:
        n -= 1
    return n
"""

TESTS = {
    LARGER: "def test_larger():\n    assert (numbers.larger(1, 2), numbers.larger(2, 1)) == (2, 2)\n",
    DOUBLED: "def test_doubled():\n    assert numbers.doubled(0) == 0\n",
    SHIFTED: "def test_shifted():\n    assert numbers.shifted(7) == 2\n",
    LOOP: "def test_down_to_zero():\n    assert numbers.down_to_zero(3) == 0\n",
}

MODULES = """\
mutants = 100
timeout_factor = 1.0
timeout_floor_s = 600.0

[modules."toy/numbers.py"]
tests = ["tests/test_numbers.py"]
wanted = 0.5
"""

EQUIVALENT = """\
[[equivalent]]
module = "toy/numbers.py"
function = "larger"
line = "if a > b:"
mutant = "if a >= b:"
reason = "Of two equal numbers either is the larger one."
"""

EXPECTED = {
    ("larger", "if a >= b:", "equivalent"),
    ("doubled", "return n // 2", "survived"),  # 0 * 2 is 0 // 2
    ("doubled", "return n * 3", "survived"),
    ("shifted", "return n + 5", "killed"),
    ("shifted", "return n - 6", "killed"),
    ("down_to_zero", "while not n:", "killed"),  # returns 3
    ("down_to_zero", "n += 1", "timed out"),
    ("down_to_zero", "n -= 0", "timed out"),
    ("down_to_zero", "n -= 2", "timed out"),  # 3, 1, -1, ...
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with a toy package, its tests and its tables."""
    root = tmp_path / "tree"
    write(root / "toy/__init__.py", "")
    write(root / "tools/mutants/modules.toml", MODULES)
    write(root / "tools/mutants/equivalent.toml", EQUIVALENT)
    write_toy(root, LARGER, DOUBLED, SHIFTED, LOOP)
    return root


def write_toy(root: Path, *functions: str) -> None:
    """The toy module with some functions and their tests."""
    write(root / "toy/numbers.py", "\n\n".join(functions))
    tests = (TESTS[function] for function in functions)
    write(root / "tests/test_numbers.py", "\n\n".join(["from toy import numbers\n", *tests]))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def contents(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def report(folder: Path) -> Any:
    return json.loads((folder / "mutants.json").read_text())


def test_each_mutant_is_killed_times_out_survives_or_is_known(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Tests may take as long as unchanged, and these seconds more: on a busy machine both grow.
    write(tree / "tools/mutants/modules.toml", MODULES.replace("_s = 600.0", "_s = 5.0"))
    before = contents(tree)
    assert main(["--out", str(tmp_path / "out")], root=tree) == 0
    assert contents(tree) == before
    (module,) = report(tmp_path / "out")["modules"]
    found = {(mutant["function"], mutant["mutated"], mutant["outcome"]) for mutant in module["mutants"]}
    assert found == EXPECTED
    counts = [module[name] for name in ("made", "killed", "timed_out", "survived", "equivalent", "ratio")]
    assert counts == [9, 3, 3, 2, 1, 6 / 8]
    killers = {mutant["mutated"]: mutant["killed_by"] for mutant in module["mutants"]}
    assert killers["return n + 5"] == "tests/test_numbers.py::test_shifted"
    text = (tmp_path / "out" / "mutants.md").read_text()
    assert "| toy/numbers.py |    9 |      3 |         3 |        2 |          1 | 75.0% |    50% |" in text
    survived = text.partition("## Survived")[2].partition("## Timed out")[0]
    assert survived.split("\n\n")[1:5] == [
        "`toy/numbers.py:8` in `doubled`",
        "```diff\n- return n * 2\n+ return n // 2\n```",
        "`toy/numbers.py:8` in `doubled`",
        "```diff\n- return n * 2\n+ return n * 3\n```",
    ]
    assert "Of two equal numbers either is the larger one." in text.partition("## Equivalent")[2]
    assert text in capsys.readouterr().out


@pytest.mark.parametrize("kernels", ["compiled", "interpreted"])
def test_kernels_are_interpreted_where_the_table_says_so(tree: Path, tmp_path: Path, kernels: str) -> None:
    test = (
        "import numba\n\nfrom toy import numbers\n\n\ndef test_shifted():\n"
        "    assert numbers.shifted(7) == 2\n"
        f"    assert hasattr(numba.njit(numbers.shifted), 'py_func') == {kernels == 'compiled'}\n"
    )
    write_toy(tree, SHIFTED)
    write(tree / "tests/test_numbers.py", test)
    write(tree / "tools/mutants/modules.toml", f'{MODULES}kernels = "{kernels}"\n')
    (tree / "tools/mutants/equivalent.toml").unlink()
    assert main(["--jobs", "1", "--out", str(tmp_path)], root=tree) == 0
    (module,) = report(tmp_path)["modules"]
    assert (module["failure"], module["killed"], module["kernels"]) == ("", 2, kernels)


def test_a_module_below_its_wanted_ratio_fails(tree: Path, tmp_path: Path) -> None:
    write_toy(tree, DOUBLED)
    (tree / "tools/mutants/equivalent.toml").unlink()
    assert main(["--mutants", "1", "--out", str(tmp_path)], root=tree) == 1
    (module,) = report(tmp_path)["modules"]
    assert (module["made"], module["survived"], module["ratio"]) == (1, 1, 0)


def test_entries_that_are_stale_or_wrong_fail(tree: Path, tmp_path: Path) -> None:
    entries = [
        ("toy/numbers.py", "larger", "if a > c:", "if a >= c:"),
        ("toy/gone.py", "larger", "if a > b:", "if a >= b:"),
        ("toy/numbers.py", "shifted", "return n - 5", "return n - 6"),
    ]
    text = "".join(
        f'[[equivalent]]\nmodule = "{module}"\nfunction = "{function}"\nline = "{line}"\n'
        f'mutant = "{mutant}"\nreason = "because"\n'
        for module, function, line, mutant in entries
    )
    write_toy(tree, LARGER, DOUBLED, SHIFTED)
    write(tree / "tools/mutants/equivalent.toml", EQUIVALENT + text)
    assert main(["--out", str(tmp_path)], root=tree) == 1
    content = report(tmp_path)
    assert [entry["module"] for entry in content["stale"]] == ["toy/gone.py"]
    (module,) = content["modules"]
    assert [entry["line"] for entry in module["stale"]] == ["if a > c:"]
    assert (module["killed"], module["survived"], module["equivalent"]) == (2, 2, 1)
    page = (tmp_path / "mutants.md").read_text()
    wrong, stale = page.split("## Listed as equivalent, but killed")[1].split(
        "## Stale entries: no such mutant"
    )
    assert "return n - 6" in wrong
    assert "By tests/test_numbers.py::test_shifted." in wrong
    assert "if a >= c:" in stale
    assert "toy/gone.py" in stale


def test_tests_that_fail_unchanged_judge_nothing(tree: Path, tmp_path: Path) -> None:
    write(tree / "tests/test_numbers.py", "def test_wrong():\n    assert 1 == 2\n")
    assert main(["--jobs", "1", "--out", str(tmp_path)], root=tree) == 1
    (module,) = report(tmp_path)["modules"]
    assert (module["made"], module["ratio"]) == (0, None)
    assert "assert 1 == 2" in module["failure"]
    assert "assert 1 == 2" in (tmp_path / "mutants.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_nothing_behind(tree: Path, tmp_path: Path, number: int) -> None:
    write_toy(tree, LOOP)
    before = contents(tree)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    program = f"from pathlib import Path; from tools.mutants.__main__ import run; run(Path({str(tree)!r}))"
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert any(line.startswith("  1/4 killed") for line in process.stdout)  # the others never end
    endless = [path for path in Path("/proc").glob("[0-9]*") if is_inside(path, scratch)]
    assert endless
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert errors == "interrupted: nothing was written\n"
    assert contents(tree) == before
    assert list(scratch.iterdir()) == []
    assert not any(is_inside(path, scratch) for path in endless)


def is_inside(process: Path, folder: Path) -> bool:
    try:
        return (process / "cwd").readlink().is_relative_to(folder)
    except OSError:
        return False


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            MODULES.replace("mutants = 100", "mutants = 0"),
            "modules.toml: mutants: input should be greater than",
        ),
        (MODULES.replace("mutants = 100", "mutnts = 100"), "mutnts: unknown key (got 'mutnts'); "),
        (MODULES.replace("wanted", "wnted"), "modules.toy/numbers.py.wnted: unknown key"),
        (MODULES.replace("tests/test_numbers.py", "tests/gone.py"), "does not exist (got 'tests/gone.py')"),
        (MODULES.replace("[modules", "[modules."), "is not valid TOML"),
        (f'{MODULES}kernels = "slow"\n', "modules.toy/numbers.py.kernels: input should be 'compiled' or"),
    ],
)
def test_mistakes_in_the_table_are_told(
    tree: Path, table: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tree / "tools/mutants/modules.toml", table)
    assert main([], root=tree) == 2
    assert message in capsys.readouterr().err
    assert not (tree / "build").exists()


def test_mistakes_on_the_command_line_are_told(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["toy/number.py"], root=tree) == 2
    assert "did you mean 'toy/numbers.py'?" in capsys.readouterr().err
    assert main(["--mutants", "0"], root=tree) == 2
    assert "command line: mutants" in capsys.readouterr().err


def test_this_tree_has_the_modules_and_tests_of_its_table() -> None:
    settings = load_settings(ROOT / "tools/mutants/modules.toml", ROOT)
    assert len(settings.modules) >= 5
    listed = {entry.module for entry in load_equivalents(ROOT / "tools/mutants/equivalent.toml")}
    assert listed <= set(settings.modules)
    for module, of_module in settings.modules.items():
        assert len(set(of_module.tests)) == len(of_module.tests), module
        for name in of_module.tests:
            file, _, test = name.partition("::")
            functions = re.findall(
                r"^def (test_\w+)", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE
            )
            assert not test or test in functions, (module, name)


def test_every_equivalent_mutant_of_this_tree_is_still_one() -> None:
    """A module that moved or a line that changed shows here, without trying mutants."""
    found: dict[str, list[Mutant]] = {}
    for entry in load_equivalents(ROOT / "tools/mutants/equivalent.toml"):
        if entry.module not in found:
            text = (ROOT / entry.module).read_text(encoding="utf-8")
            found[entry.module] = mutants_of(entry.module, text)
        assert any(map(entry.is_about, found[entry.module])), entry


class TestNothingCompiledOutlivesAChange:
    FILES: ClassVar = {
        "box/__init__.py": "",
        "box/inner.py": "",
        "box/direct.py": "from box import inner\n",
        "box/relative.py": "from .inner import f\n",
        "box/late.py": "def g():\n    import box.inner\n",
        "box/through.py": "from box.direct import inner\n",
        "box/part/__init__.py": "from box.inner import f\n",
        "box/part/below.py": "",
        "box/part/user.py": "from ..late import g\n",
        "box/outside.py": "import box.part.below\n",
        "box/beside.py": "from box.part.below import f\n",
        "box/other.py": "import os\nfrom box import other_still\n",
        "box/other_still.py": "",
    }

    def test_importers_are_found_directly_and_through_others(self, tmp_path: Path) -> None:
        for name, text in self.FILES.items():
            write(tmp_path / name, text)
        found = {str(path.relative_to(tmp_path)) for path in dependents(tmp_path, "box/inner.py")}
        assert found == {
            "box/inner.py",
            "box/direct.py",
            "box/relative.py",
            "box/late.py",
            "box/through.py",
            "box/part/__init__.py",
            "box/part/user.py",
            "box/outside.py",  # binds `box` with box.part.f in it; box/beside.py binds nothing but its own f
        }

    def test_bytecode_of_the_module_and_machine_code_of_its_importers_go(self, tmp_path: Path) -> None:
        names = [
            *(f"{stem}.cpython-311.pyc" for stem in ("inner", "outer", "other")),
            *(
                f"{stem}.f-1.py311.{kind}"
                for stem in ("inner", "outer", "other")
                for kind in ("nbi", "1.nbc")
            ),
        ]
        for name in names:
            write(tmp_path / "__pycache__" / name, "")
        forget(tmp_path / "inner.py", {tmp_path / "inner.py", tmp_path / "outer.py"})
        left = {path.name for path in (tmp_path / "__pycache__").iterdir()}
        assert left == {
            "outer.cpython-311.pyc",
            "other.cpython-311.pyc",
            "other.f-1.py311.nbi",
            "other.f-1.py311.1.nbc",
        }

    @pytest.mark.slow
    def test_a_kernel_is_compiled_anew_when_a_function_inside_it_changes(
        self, tree: Path, tmp_path: Path
    ) -> None:
        """numba's cache of `outer` knows nothing of `inner`, which is compiled into it."""
        write(tree / "toy/inner.py", "import numba\n\n\n@numba.njit\ndef raised(n):\n    return n + 7\n")
        write(
            tree / "toy/outer.py",
            "import numba\n\nfrom toy.inner import raised\n\n\n"
            "@numba.njit(cache=True)\ndef twice(n):\n    return raised(n) + raised(n)\n",
        )
        write(
            tree / "tests/test_outer.py",
            "from pathlib import Path\n\nfrom toy import outer\n\n\n"
            "def test_twice():\n    assert outer.twice(1) == 16\n"
            "    assert list(Path(outer.__file__).parent.glob('__pycache__/outer.twice*.nbi'))\n",
        )
        write(
            tree / "tools/mutants/modules.toml",
            '[modules."toy/inner.py"]\ntests = ["tests/test_outer.py"]\n',
        )
        (tree / "tools/mutants/equivalent.toml").unlink()
        assert main(["--jobs", "1", "--out", str(tmp_path)], root=tree) == 0
        (module,) = report(tmp_path)["modules"]
        outcomes = {mutant["mutated"]: mutant["outcome"] for mutant in module["mutants"]}
        assert outcomes == {"return n - 7": "killed", "return n + 8": "killed"}


def test_a_module_that_is_not_imported_from_the_copy_is_refused(tree: Path, tmp_path: Path) -> None:
    # A folder without __init__.py: Python takes its own package of that name.
    write(tree / "json/decoder.py", "x = 1\n")
    write(tree / "tools/mutants/modules.toml", MODULES.replace("toy/numbers.py", "json/decoder.py"))
    (tree / "tools/mutants/equivalent.toml").unlink()
    assert main(["--jobs", "1", "--out", str(tmp_path)], root=tree) == 1
    (module,) = report(tmp_path)["modules"]
    assert module["failure"] == "json/decoder.py is not imported from the copy of the tree"
