"""Bring every ONNX file of a folder as a user would, and compare it with ONNX Runtime; resumable.

python -m tools.model_corpus FOLDER --store DIR                       # check what the store does not have
python -m tools.model_corpus FOLDER --store DIR --page docs/model_corpus.md
python -m tools.model_corpus FOLDER --store DIR --only silero --again # some files anew

Each file runs in a process of its own. FOLDER/PACKAGE-VERSION/... gives the package; FOLDER/inputs.json may say
sizes and values by part of a path: {"silero": {"dims": {"sequence": 576}, "values": {"sr": 16000}}}.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from simulator.foundation.files import prepare_folder, safe_name, write_text
from tools.corpus_check import Outcome
from tools.corpus_page import Checked, page

TIMEOUT_S = 500


def models(folder: Path) -> Iterator[Path]:
    """The ONNX files of a folder by name; of equal files the first one."""
    seen: set[str] = set()
    for path in sorted(folder.rglob("*.onnx")):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest not in seen:
            seen.add(digest)
            yield path


def wanted_inputs(folder: Path, path: Path) -> Mapping[str, Any]:
    """What FOLDER/inputs.json says of a file: all entries whose name is part of its path, later ones win."""
    told = folder / "inputs.json"
    entries = json.loads(told.read_text(encoding="utf-8")) if told.exists() else {}
    merged: dict[str, Any] = {"dims": {}, "values": {}}
    for part, entry in entries.items():
        if part in str(path.relative_to(folder)):
            for kind in ("dims", "values"):
                merged[kind].update(entry.get(kind, {}))
            if "batch_axis" in entry:
                merged["batch_axis"] = entry["batch_axis"]
    return merged


def check_apart(path: Path, wanted: Mapping[str, Any]) -> Outcome:
    """`tools.corpus_check` of a file in a process of its own; a crash or a hang is an outcome too."""
    command = [sys.executable, "-m", "tools.corpus_check", str(path), json.dumps(wanted)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return Outcome(not_executed=f"took more than {TIMEOUT_S} s")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return Outcome(not_executed=f"crashed with exit code {done.returncode}: {last[:200]}")
    return Outcome.of(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--store", type=Path, required=True, help="folder of outcomes, one JSON file a model")
    parser.add_argument("--only", help="only files whose path contains this")
    parser.add_argument("--again", action="store_true", help="check files anew that the store has")
    parser.add_argument("--page", type=Path, help="write the page from the store, and check nothing")
    arguments = parser.parse_args()
    store = prepare_folder(arguments.store)
    found = []
    for path in models(arguments.folder):
        relative = path.relative_to(arguments.folder)
        file = store / f"{safe_name(str(relative))}.json"
        chosen = arguments.page is None and (not arguments.only or arguments.only in str(relative))
        if chosen and (arguments.again or not file.exists()):
            outcome = check_apart(path, wanted_inputs(arguments.folder, path))
            write_text(file, json.dumps(outcome.as_document(), indent=1) + "\n")
            print(Checked(relative, outcome).describe(), flush=True)
        if file.exists():
            found.append(Checked(relative, Outcome.of(json.loads(file.read_text(encoding="utf-8")))))
    if arguments.page is not None:
        write_text(arguments.page, page(found))


if __name__ == "__main__":
    main()
