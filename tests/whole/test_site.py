"""Does the documentation site build without a warning, and does every link of it lead somewhere?"""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.command import ROOT
from tools.notebook_pages import notebook_page


def build(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """Sphinx as `make site` calls it, with the settings of this project."""
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "--quiet", "-c", str(ROOT / "docs")]
    return subprocess.run(
        [*command, str(source), str(target)], cwd=ROOT, capture_output=True, text=True, check=False
    )


class Page(HTMLParser):
    """What a page points to, and the places in it that links may name."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = {"", "top"}
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value is not None}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif "src" in given or (tag == "link" and given.get("rel") in {"stylesheet", "preload", "icon"}):
            self.loaded.append(given.get("src") or given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    done = build(ROOT / "docs", target)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}


@pytest.mark.slow
def test_every_page_of_the_docs_is_a_page_of_the_site(site: Path) -> None:
    sources = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.ipynb")]
    assert len(sources) >= 30
    for source in sources:
        assert (site / source.relative_to(ROOT / "docs")).with_suffix(".html").is_file(), source


@pytest.mark.slow
def test_every_link_inside_the_site_leads_to_a_page_and_a_place(pages: dict[Path, Page]) -> None:
    broken, followed = [], 0
    known = {each.resolve(): other for each, other in pages.items()}
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
            followed += 1
            if not target.is_file() or (
                target in known and unquote(parts.fragment) not in known[target].anchors
            ):
                broken.append(f"{path.name}: {link}")
    assert followed > 1000
    assert not broken


@pytest.mark.slow
def test_a_reader_of_the_site_loads_nothing_from_other_servers(pages: dict[Path, Page]) -> None:
    loaded = {link for page in pages.values() for link in page.loaded}
    assert any(link.startswith("_static/styles/furo") for link in loaded)
    assert [link for link in loaded if urlsplit(link).netloc] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "told"),
    [("[there](nowhere.md)", "nowhere"), ("[there](#no-such-place)", "no-such-place")],
    ids=["page", "place"],
)
def test_a_link_that_leads_nowhere_fails_the_build(text: str, told: str, tmp_path: Path) -> None:
    source = tmp_path / "pages"
    source.mkdir()
    (source / "index.md").write_text(f"# Pages\n\n{text}\n")
    done = build(source, tmp_path / "site")
    assert done.returncode != 0
    assert told in done.stderr


def test_a_notebook_becomes_text_code_and_what_the_code_gave() -> None:
    table = {"output_type": "execute_result", "data": {"text/html": ["<table></table>"], "text/plain": ["t"]}}
    picture = {"output_type": "display_data", "data": {"image/png": "QUJD\nRA==\n", "text/plain": ["f"]}}
    printed = {"output_type": "stream", "name": "stdout", "text": ["2\n"]}
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "Text."]},
        {"cell_type": "code", "source": ["1 + 1"], "outputs": [printed, table, picture]},
    ]
    page = notebook_page({"cells": cells})
    assert page.startswith("# Title\nText.\n\n``````python\n1 + 1\n``````\n\n``````text\n2\n``````\n")
    assert "<table></table>" in page
    assert 'src="data:image/png;base64,QUJDRA=="' in page
    assert page.index("<table>") < page.index("data:image/png")
