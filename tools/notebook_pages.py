"""A Sphinx extension that shows notebooks, with the outputs that they were saved with, as pages of the site."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from myst_parser.parsers.sphinx_ import MystParser

FENCE = "``````"
"""Longer than any fence inside a cell."""


class NotebookParser(MystParser):
    """Reads a notebook as the page that it stands for."""

    supported = ("notebook",)

    def parse(self, inputstring: str, document: nodes.document) -> None:
        """Put the page into `document`. Raises KeyError and ValueError for what is no notebook of version 4."""
        super().parse(notebook_page(json.loads(inputstring)), document)


def notebook_page(notebook: dict[str, Any]) -> str:
    """A notebook as MyST Markdown: text as it is, code in fences, outputs below their code."""
    parts: list[str] = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(text)
        elif cell["cell_type"] == "code":
            parts.append(f"{FENCE}python\n{text}\n{FENCE}")
            parts += _outputs(cell["outputs"])
    return "\n\n".join(parts) + "\n"


def _outputs(outputs: list[dict[str, Any]]) -> Iterator[str]:
    for output in outputs:
        data = output.get("data", {})
        if "image/png" in data:
            picture = "".join(data["image/png"]).replace("\n", "")
            yield _html(f'<img alt="figure of this cell" src="data:image/png;base64,{picture}">')
        elif "text/html" in data:
            yield _html("".join(data["text/html"]))
        else:
            text = "".join(output.get("text", data.get("text/plain", "")))
            yield f"{FENCE}text\n{text.rstrip()}\n{FENCE}"


def _html(text: str) -> str:
    return f'{FENCE}{{raw}} html\n<div class="output" style="overflow-x: auto">{text}</div>\n{FENCE}'


def setup(app: Any) -> dict[str, bool]:
    """Register the parser with Sphinx."""
    app.add_source_suffix(".ipynb", "notebook")
    app.add_source_parser(NotebookParser)
    return {"parallel_read_safe": True}
