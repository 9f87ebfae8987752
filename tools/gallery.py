"""Make the figures of docs/gallery.md anew by the commands that the page shows; `python -m tools.gallery`."""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import Final

from simulator.cli import exit_code

DOCS: Final = Path(__file__).resolve().parent.parent / "docs"
PAGE: Final = DOCS / "gallery.md"

FIGURES: Final = {
    "front_energy_accuracy.svg": "gallery/formats_plots/pareto_top1_energy_pj.svg",
    "energy_of_formats.svg": "gallery/formats_plots/compare_energy.svg",
    "accuracy_by_layer.svg": "gallery/formats_plots/4_int4_x_int4/accuracy_by_layer.svg",
    "roofline.svg": "gallery/resnet50_plots/roofline.svg",
    "pe_use_by_layer.svg": "gallery/resnet50_plots/pe_use_by_layer.svg",
    "pe_utilization.svg": "gallery/resnet50_plots/pe_utilization.svg",
    "area.svg": "gallery/resnet50_plots/area.svg",
}
"""Figures of the page, and the plots that they are."""


def commands() -> list[str]:
    """The commands that the page shows."""
    return re.findall(r"^\$ systolic (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for command in commands():
            if exit_code(shlex.split(command)) != 0:
                raise SystemExit(command)
        for name, plot in FIGURES.items():
            shutil.copyfile(plot, DOCS / "gallery" / name)
            print(f"wrote docs/gallery/{name}")


if __name__ == "__main__":
    main()
