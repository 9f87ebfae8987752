"""Does an audit fail where an advisory names a pin, and where nobody could be asked?"""

from __future__ import annotations

from pathlib import Path

import pytest

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
