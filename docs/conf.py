"""Settings of the documentation site: `make site`. Everything that its pages show comes from this folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

project = "systolic"
author = copyright = "The systolic developers"  # noqa: A001 - Sphinx reads this name
extensions = ["myst_parser", "tools.notebook_pages"]
myst_heading_anchors = 4
exclude_patterns = ["conf.py"]
nitpicky = True

html_theme = "furo"
html_title = "systolic"
html_show_sourcelink = False
html_copy_source = False
html_theme_options: dict[str, Any] = {"navigation_with_keys": True}

BESIDE_DOCS = {"../SECURITY.md": "security.md", "../CONTRIBUTING.md": "contributing.md"}
"""Files at the top of the repository that pages link to, and the pages of the site that include them."""


def setup(app: Any) -> None:
    """Let pages link to files beside this folder, as they do when you read them in the repository."""
    app.connect("source-read", _link_inside)
    app.connect("include-read", _link_from_above)


def _link_inside(_app: Any, _page: str, source: list[str]) -> None:
    for file, page in BESIDE_DOCS.items():
        source[0] = source[0].replace(f"]({file})", f"]({page})")


def _link_from_above(_app: Any, _file: Path, _page: str, source: list[str]) -> None:
    source[0] = source[0].replace("](docs/", "](")
    for file, page in BESIDE_DOCS.items():
        source[0] = source[0].replace(f"]({file.removeprefix('../')})", f"]({page})")
