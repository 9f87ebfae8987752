"""All that a command writes takes its place together, or nothing does, and errors name what the user gave."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from simulator.foundation import UserError
from simulator.foundation.files import write_text
from simulator.foundation.staged_outputs import staged_outputs
from tests.command import ROOT, run

NETWORK = "{name: one, source: written for this test, layers: [{name: fc1, fc: {k: 64, n: 10}}]}"


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_files_and_folders_appear_together(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("before")
    (tmp_path / "link.json").symlink_to("real.json")
    with staged_outputs() as staged:
        folder = staged.folder(tmp_path / "a" / "out")
        write_text(staged.file(tmp_path / "table.csv"), "after")
        write_text(staged.file(tmp_path / "link.json"), "linked")
        write_text(staged.file(tmp_path / "a" / "out" / "inside.json"), "inside")
        write_text(staged.file(Path("/dev/null")), "nothing")
        write_text(folder / "result.json", "result")
        assert content(tmp_path)["table.csv"] == "before"
    assert staged.overwritten == [tmp_path / "table.csv", Path("/dev/null")]
    assert content(tmp_path) == {
        "a/out/inside.json": "inside", "a/out/result.json": "result", "link.json": "linked",
        "real.json": "linked", "table.csv": "after",
    }  # fmt: skip
    assert (tmp_path / "link.json").is_symlink()
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_a_move_that_fails_puts_everything_back(
    moved: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three files one was there, and one is in a folder that is made; the move after `moved` fails."""
    (tmp_path / "b").write_text("before")
    replace, moves = Path.replace, [0]

    def failing(self: Path, target: str | Path) -> Path:
        if Path(target).parent in (tmp_path, tmp_path / "new") and not self.name.endswith(".before"):
            moves[0] += 1
            if moves[0] == moved + 1:
                raise OSError(5, "Input/output error")
        return replace(self, target)

    def write() -> None:
        with staged_outputs() as staged:
            for name in ("a", "b"):
                write_text(staged.file(tmp_path / name), "after")
            write_text(staged.folder(tmp_path / "new") / "c", "after")
            monkeypatch.setattr(Path, "replace", failing)

    names = [tmp_path / "a", tmp_path / "b", tmp_path / "new" / "c"]
    with pytest.raises(UserError) as caught:
        write()
    assert str(caught.value) == f"{names[moved]}: cannot be written: Input/output error"
    assert content(tmp_path) == {"b": "before"}
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_what_cannot_be_written_is_told_before_anything_is(tmp_path: Path) -> None:
    for path, part in (
        (tmp_path, "is a folder"),
        (tmp_path / "absent" / "file", "cannot be written: No such file or directory"),
        (tmp_path / ("n" * 300), "cannot be written: File name too long"),
    ):
        with pytest.raises(UserError) as caught, staged_outputs() as staged:
            assert [staged.file(each) for each in (tmp_path / "other", path)] == []
        assert str(caught.value).startswith(str(path)[:300])
        assert part in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def limited(*arguments: str | Path, cwd: Path, most_bytes: int) -> subprocess.CompletedProcess[str]:
    """Run the command where no file may be larger: a stand-in for a disk that is full."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    return subprocess.run(
        [sys.executable, "-m", "simulator", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "most_bytes", "named"),
    [
        ("compare net.yaml --mac int8 --mac elma8 --out out --csv table.csv", 12_000, "out/1_int8.json"),
        ("simulate net.yaml --out out --mapping-out map.yaml --trace t.json", 12_000, "out/result.json"),
        (
            "report r -o page.html --plots plots --figure roofline --format svg",
            60_000,
            "page.html",
        ),
    ],
)
def test_a_full_disk_leaves_nothing_of_any_output(
    arguments: str, most_bytes: int, named: str, tmp_path: Path
) -> None:
    (tmp_path / "net.yaml").write_text(NETWORK)
    done = limited("simulate", "net.yaml", "--out", "r", "-q", cwd=tmp_path, most_bytes=10**9)
    assert (done.returncode, done.stderr) == (0, "")
    (tmp_path / "table.csv").write_text("before")
    before = content(tmp_path)
    done = limited(*arguments.split(), cwd=tmp_path, most_bytes=most_bytes)
    assert done.stderr == f"systolic: {named}: cannot be written: File too large\n"
    assert (done.returncode, done.stdout) == (2, "")
    assert content(tmp_path) == before
    assert {path.name for path in tmp_path.iterdir()} == {"net.yaml", "r", "table.csv"}


def test_a_device_that_is_full_leaves_nothing_of_other_outputs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.yaml").write_text(NETWORK)
    run(capsys, "compare", "net.yaml", "-m", "int8", "--out", "out", "--csv", "/dev/full").must_refuse(
        "systolic: /dev/full: cannot be written: No space left on device\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["net.yaml"]
