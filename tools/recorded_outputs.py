"""Hold the hashes of recorded outputs to the recordings: `python -m tools.recorded_outputs FOLDER [--write]`.

FOLDER holds the outputs recorded from the published circuits and from SCALE-Sim, which are not part of this
repository. `--write` takes inputs and hashes from them anew: `tests/reference/stimuli.npz` (inputs that follow
from no rule; never an output) and `tests/reference/recorded_sha256.toml`.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np

from tests.reference.recorded import HASHES, RECORDS, STIMULI, Arrays, sha256

INPUTS = {
    "log16_products": ("a", "b"),
    "log8_mac_steps": ("a", "b", "acc_in", "inf_in"),
    "accumulator_to_log8": ("acc", "is_inf", "is_overflow", "overflow_sign"),
    "float32_to_log8": ("f32_bits",),
    "int8_grid_t4_random_control": (
        "edge", "reset", "enableMul", "enableShiftOut", *(f"{side}{lane}" for side in "ab" for lane in range(4))
    ),
}  # fmt: skip
"""Arrays that were chosen for the recording; all others are outputs, or follow from a rule."""

LEFT_OUT = {
    "log8_codes": {"code"},
    "log8_products": {"prod_sign", "prod_is_zero", "prod_exp", "prod_frac"},
    "accumulator_to_log8": {"pre_sign", "pre_is_zero", "pre_exp_beta5", "pre_frac7_beta5"},
    "float32_to_log8": {"klass", "klass_names"},
}
"""Recorded on the way to an output, or a label: not computed again."""

SCALESIM = {
    "layer", "ofmap_h", "ofmap_w", "M", "N", "K", "macs",
    "compute_cycles", "sram_ifmap_reads", "sram_filter_reads", "sram_ofmap_writes",
}  # fmt: skip


def recording(folder: Path, record: str) -> Arrays:
    """The arrays of one recording, as its file has them."""
    if (folder / f"{record}.npz").is_file():
        with np.load(folder / f"{record}.npz") as file:
            arrays: Arrays = dict(file)
    else:
        with (folder / f"{record}.csv").open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        arrays = {name: _column([row[name].strip() for row in rows]) for name in rows[0]}
    if (folder / f"{record}_AB.npz").is_file():
        arrays |= operands(folder, record)
    if record.startswith("scalesim/"):
        return {name: arrays[name] for name in arrays if name in SCALESIM}
    return {name: array for name, array in arrays.items() if name not in LEFT_OUT.get(record, ())}


def _column(texts: list[str]) -> np.ndarray:
    for number in (int, float):
        try:
            return np.array([number(text) for text in texts])
        except ValueError:
            continue
    return np.array(texts)


def operands(folder: Path, record: str) -> Arrays:
    with np.load(folder / f"{record}_AB.npz") as file:
        return dict(file)


def write(folder: Path) -> None:
    chosen = {
        f"{record}/{name}": array
        for record, names in INPUTS.items()
        for name, array in recording(folder, record).items()
        if name in names
    }
    for record in ("int8_grid_t4_k12", "log8_grid_t4_k12"):
        chosen |= {f"{record}/{name}": array for name, array in operands(folder, record).items()}
    narrowed: dict[str, Any] = {name: _narrowed(array) for name, array in chosen.items()}
    np.savez_compressed(STIMULI, **narrowed)
    lines = ["# SHA-256 of recorded outputs; written by `python -m tools.recorded_outputs FOLDER --write`."]
    for record in RECORDS:
        lines += ["", f'["{record}"]']
        lines += [f'{name} = "{sha256(array)}"' for name, array in sorted(recording(folder, record).items())]
    HASHES.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _narrowed(array: np.ndarray) -> np.ndarray:
    for dtype in (np.bool_, np.int8, np.uint8, np.uint16, np.uint32):
        if (array.astype(dtype) == array).all():
            return array.astype(dtype)
    return array


def differences(folder: Path) -> list[str]:
    """Arrays whose recording has another hash than the one that the tests expect."""
    expected = tomllib.loads(HASHES.read_text(encoding="utf-8"))
    return [
        f"{record}: {name}"
        for record in RECORDS
        for name, array in recording(folder, record).items()
        if sha256(array) != expected[record].get(name)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if arguments.write:
        write(arguments.folder)
    found = differences(arguments.folder)
    print("\n".join(found) if found else "every recorded array has the hash that the tests expect")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
