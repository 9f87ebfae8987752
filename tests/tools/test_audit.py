"""Does an audit fail where an advisory names a pin, and where nobody could be asked?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command import ROOT
from tools.audit import FOUND, NONE_FOUND, UNANSWERED, asked


def program(folder: Path, out: str, error: str = "", code: int = 0) -> str:
    """A program in place of uv that prints this."""
    (folder / "out").write_text(out)
    (folder / "error").write_text(error)
    path = folder / "uv"
    path.write_text(f"#!/bin/sh\ncat '{folder}/out'\ncat '{folder}/error' >&2\nexit {code}\n")
    path.chmod(0o755)
    return str(path)


CLEAN = '{"name": "a", "version": "1.0", "vulns": []}'


@pytest.mark.parametrize(
    ("out", "code", "expected"),
    [
        (f'{{"dependencies": [{CLEAN}]}}', 0, (NONE_FOUND, "no advisory names any of 1 pins")),
        (
            f'{{"dependencies": [{CLEAN}, {{"name": "b", "version": "2", "vulns": [{{"id": "PYSEC-1"}}]}}]}}',
            1,
            (FOUND, "advisories name 1 of 2 pins: b 2 (PYSEC-1)"),
        ),
        (
            f'{{"dependencies": [{CLEAN}, {{"name": "b", "skip_reason": "not on PyPI"}}]}}',
            0,
            (UNANSWERED, "1 of 2 pins were not looked up: not on PyPI"),
        ),
        ('{"dependencies": []}', 0, (UNANSWERED, "no pin was looked up")),
    ],
)
def test_what_an_audit_says(out: str, code: int, expected: tuple[int, str], tmp_path: Path) -> None:
    assert asked(["pins.txt"], uv=program(tmp_path, out, code=code)) == expected


def test_an_audit_without_network_fails_in_one_line(tmp_path: Path) -> None:
    uv = program(tmp_path, "", "Traceback ...\nConnectionError: no route to host\n", code=1)
    line = "the advisories could not be reached: ConnectionError: no route to host"
    assert asked(["pins.txt"], uv=uv) == (UNANSWERED, line)
    code, line = asked(["pins.txt"], uv=str(tmp_path / "nothing"))
    assert code == UNANSWERED
    assert "\n" not in line


def test_a_pin_in_two_files_counts_once_and_one_without_answer_is_told(tmp_path: Path) -> None:
    """A program in place of uv that says of each file what stands beside it."""
    path = tmp_path / "uv"
    path.write_text('#!/bin/sh\nfor last; do :; done\ncat "$last.json"\n')
    path.chmod(0o755)
    other = CLEAN.replace("1.0", "2.0")
    (tmp_path / "one.json").write_text(f'{{"dependencies": [{CLEAN}]}}')
    (tmp_path / "two.json").write_text(f'{{"dependencies": [{CLEAN}, {other}]}}')
    files = [str(tmp_path / name) for name in ("one", "two")]
    assert asked(files, uv=str(path)) == (NONE_FOUND, "no advisory names any of 2 pins")
    code, line = asked([*files, str(tmp_path / "absent")], uv=str(path))
    assert code == UNANSWERED
    assert "absent.json" in line


def test_every_file_of_pins_is_audited() -> None:
    """Files of pins are called requirements; a pin is NAME==VERSION."""
    folders = (ROOT, ROOT / "tools", ROOT / "docs", ROOT / "benchmarks", ROOT / "examples")
    named = {
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in (folder.glob("*") if folder == ROOT else folder.rglob("*"))
        if path.is_file() and path.suffix in (".txt", ".lock") and "==" in path.read_text(encoding="utf-8")
    }
    assert "requirements-user.lock" in named
    (line,) = [line for line in (ROOT / "Makefile").read_text().splitlines() if "tools.audit" in line]
    assert set(line.partition("tools.audit")[2].split()) == named
