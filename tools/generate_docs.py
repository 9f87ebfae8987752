"""Write every generated page under docs/; `make docs`. A test keeps the pages fresh."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tools.arch_reference import arch_reference
from tools.command_page import command_page
from tools.machine_table import machine_page
from tools.onnx_page import onnx_page
from tools.python_page import python_page
from tools.results_page import results_page
from tools.sram_plot import sram_page
from tools.validation_page import validation_page
from tools.zoo.page import zoo_page

DOCS = Path(__file__).resolve().parent.parent / "docs"

PAGES: dict[str, Callable[[], str]] = {
    "arch_config.md": arch_reference,
    "command_line.md": command_page,
    "machine_figures.md": machine_page,
    "onnx_operators.md": onnx_page,
    "python_api.md": python_page,
    "results.md": results_page,
    "sram.md": sram_page,
    "validation.md": validation_page,
    "zoo.md": zoo_page,
}


def main() -> None:
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
        print(f"wrote docs/{name}")


if __name__ == "__main__":
    main()
