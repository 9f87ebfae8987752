"""Does `systolic rtl` say what it wrote and compared, and refuse what cannot be in one line?"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from simulator.hardware import yosys_runs
from tests.command import run

HAS_EXTRA = find_spec("amaranth") is not None and find_spec("pyosys") is not None
needs_extra = pytest.mark.skipif(
    not HAS_EXTRA, reason="needs the extra: pip install 'systolic-simulator[rtl]'"
)


@needs_extra
def test_verify_counts_what_it_compared(capsys: pytest.CaptureFixture[str]) -> None:
    found = run(capsys, "rtl", "verify", "int4 x int4", "--dataflow", "os").must_succeed().stdout
    lines = [" ".join(line.split()) for line in found.splitlines()]
    assert lines[0].startswith("int4 x int4: int4 x int4, ")
    assert "steps, all pairs of codes 100,096 compared, equal" in lines  # 256 pairs, 391 times
    assert "RTL and gates of int4_x_int4_mac, for all inputs equivalent" in lines
    assert len(lines) == 3 + 3 + 2


@needs_extra
def test_verify_as_json_without_proofs(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("rtl", "verify", "mixed8", "--dataflow", "ws", "--proof-seconds", "0", "--json")
    document = json.loads(run(capsys, *arguments).must_succeed().stdout)
    assert document["passed"] is True
    assert document["equivalences"] == []
    assert [each["differing"] for each in document["comparisons"]] == [0, 0, 0]
    assert document["comparisons"][0] == {
        "what": "steps, all pairs of codes",
        "compared": 262144,
        "differing": 0,
        "first": None,
    }


@needs_extra
def test_verify_ends_with_1_and_the_first_difference(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from amaranth import Value

    from simulator.hardware import product_circuits
    from simulator.hardware.circuits import Circuit

    def never(_circuit: Circuit, value: Value, _negative: Value) -> Value:
        return value.as_signed()

    monkeypatch.setattr(product_circuits, "conditional_negation", never)
    found = run(capsys, "rtl", "verify", "sm4 x sm4", "--dataflow", "os", "--proof-seconds", "0")
    assert found.exit_code == 1
    assert "first: activation 0x" in found.stdout
    assert "RTL and gates: not proven (--proof-seconds 0)" in found.stdout
    assert "the hardware of sm4 x sm4 differs: steps, all pairs of codes" in found.stderr


@needs_extra
def test_emit_names_its_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "new"
    found = run(capsys, "rtl", "emit", "int8", "-o", folder, "--rows", "2", "--columns", "1", "-d", "is")
    written = [line.removeprefix("wrote ") for line in found.must_succeed().stdout.splitlines()]
    assert [Path(path).name for path in written] == sorted(path.name for path in folder.iterdir())
    assert str(folder / "int8_array_is_2x1.v") in written


@needs_extra
def test_macs_of_an_architecture_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arch = tmp_path / "arch.yaml"
    arch.write_text("macs:\n  tiny: {activation: int2, weight: uint2}\n", encoding="utf-8")
    run(capsys, "rtl", "emit", "tiny", "--arch", arch, "-o", tmp_path / "rtl").must_succeed()
    assert (tmp_path / "rtl" / "tiny_mac.v").is_file()


@needs_extra
@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("emit", "elma9", "-o", "x"), ("unknown MAC (got 'elma9')", "did you mean 'elma8'?")),
        (("verify", "int8", "-d", "zs"), ("unknown dataflow (got 'zs')",)),
        (("emit", "int8", "-o", "x", "--rows", "0"), ("rows: must be 1 or more (got 0)",)),
        (("emit", "int8", "-o", "/proc/none/x"), ("/proc/none/x",)),
        (("verify", "int8 x fp64"), ("fp64",)),
    ],
)
def test_what_cannot_be(
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    parts: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    run(capsys, "rtl", *arguments).must_refuse(*parts)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", ["amaranth", "pyosys"])
@pytest.mark.parametrize("arguments", [("verify", "int8"), ("emit", "int8", "-o", "x")])
def test_a_missing_extra_is_named(
    package: str,
    arguments: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def without(name: str) -> Any:
        return None if name == package else True

    monkeypatch.setattr(yosys_runs, "find_spec", without)
    monkeypatch.chdir(tmp_path)
    found = run(capsys, "rtl", *arguments)
    found.must_refuse(f"needs the package '{package}'", "pip install 'systolic-simulator[rtl]'")
    assert list(tmp_path.iterdir()) == []
