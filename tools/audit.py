"""`python -m tools.audit REQUIREMENTS...`: do advisories name a pinned dependency? One line, and an exit code.

0: none does. 1: some do. 2: the question could not be asked or answered for every pin.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

NONE_FOUND, FOUND, UNANSWERED = range(3)

_COMMAND: Final = ("tool", "run", "pip-audit", "--no-deps", "--disable-pip", "--format", "json")
_LONGEST_S: Final = 600


def asked(requirements: Sequence[str], *, uv: str | None = None) -> tuple[int, str]:
    """Exit code and line of an audit of files of pins; `uv`: the program, by default the one beside Python.

    Each file is asked about by itself, as pip-audit refuses pins that stand in two; a pin counts once.
    """
    program = uv or str(Path(sys.executable).with_name("uv"))
    found: dict[tuple[Any, Any], dict[str, Any]] = {}
    for path in requirements:
        dependencies, problem = _dependencies(program, path)
        if problem is not None:
            return UNANSWERED, problem
        found |= {(one.get("name"), one.get("version")): one for one in dependencies}
    return judged(list(found.values()))


def _dependencies(program: str, requirements: str) -> tuple[list[dict[str, Any]], str | None]:
    """What pip-audit says of each pin of a file, or why it says nothing."""
    command = [program, *_COMMAND, "--requirement", requirements]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LONGEST_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return [], f"the advisories could not be asked: {' '.join(str(error).split())}"
    try:
        return json.loads(done.stdout)["dependencies"], None
    except (ValueError, KeyError, TypeError):
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["pip-audit said nothing"]
        return [], f"the advisories could not be reached: {' '.join(said[-1].split())}"


def judged(dependencies: Sequence[dict[str, Any]]) -> tuple[int, str]:
    """Exit code and line for what pip-audit says of each dependency."""
    found = [
        f"{one['name']} {one['version']} ({', '.join(advisory['id'] for advisory in one['vulns'])})"
        for one in dependencies
        if one.get("vulns")
    ]
    skipped = [one["skip_reason"] for one in dependencies if "skip_reason" in one]
    unknown = f"{len(skipped)} of {len(dependencies)} pins were not looked up"
    if found:
        line = f"advisories name {len(found)} of {len(dependencies)} pins: {'; '.join(found)}"
        return FOUND, f"{line}; {unknown}" if skipped else line
    if skipped or not dependencies:
        return UNANSWERED, f"{unknown}: {skipped[0]}" if skipped else "no pin was looked up"
    return NONE_FOUND, f"no advisory names any of {len(dependencies)} pins"


def main() -> None:
    """Ask, print the line and exit."""
    code, line = asked(sys.argv[1:])
    sys.stdout.write(f"audit: {line}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
