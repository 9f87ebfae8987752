"""Does the report work in a browser: no errors, every chart drawn, tabs and sorting, nothing from outside?"""

from __future__ import annotations

import base64
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.illustrations import pictures_of, record
from simulator.numerics import get_mac
from simulator.report.html import render_html
from simulator.result import Result, priced
from tests.report_fixtures import make_result

webdriver = pytest.importorskip("selenium.webdriver")

pytestmark = pytest.mark.slow

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_DRIVER = shutil.which("chromedriver")
_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)

Browser = Any


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if not (_CHROMIUM and _DRIVER):
        pytest.skip("Chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = _CHROMIUM
    for argument in (*_ARGUMENTS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(_DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def results() -> list[Result]:
    return [
        make_result("toynet", layers=20, accuracy=True),
        make_result("toynet", "elma8", layers=20, accuracy=True, energy_scale=0.8, estimated=True),
    ]


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chosen = os.environ.get("SYSTOLIC_ARTEFACTS")
    folder = Path(chosen) if chosen else tmp_path_factory.mktemp("artefacts")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def report(results: list[Result], artefacts: Path) -> str:
    file = artefacts / "report.html"
    file.write_text(render_html(results), encoding="utf-8")
    return file.resolve().as_uri()


@pytest.fixture
def page(browser: Browser, report: str) -> Browser:
    _emulate(browser, width=1280)
    browser.get_log("browser")
    browser.get(report)
    return browser


def _emulate(browser: Browser, *, width: int, scheme: str = "light", media: str = "") -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})


def _screenshot(browser: Browser, file: Path) -> None:
    picture = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
    file.write_bytes(base64.b64decode(picture["data"]))


LEGENDS_TO_SCROLL = """
return [...document.querySelectorAll('.main-svg .scrollbar')]
  .filter((bar) => bar.getBoundingClientRect().height > 0).length
"""
"""Legends of charts that are taller than their room; plotly then hides entries behind a bar to scroll."""


def _first_column(page: Browser, table: str) -> list[str]:
    script = (
        "return [...document.querySelectorAll(arguments[0] + ' tbody tr')].map(r => r.cells[0].textContent)"
    )
    cells: list[str] = page.execute_script(script, table)
    return cells


def test_every_chart_of_every_tab_is_drawn_without_a_word_on_the_console(
    page: Browser, results: list[Result]
) -> None:
    tabs = page.find_elements("css selector", "[role=tab]")
    assert [tab.text for tab in tabs] == ["Comparison", "int8_32x32", "~elma8_32x32"]
    drawn: dict[str, int] = {}
    for tab in tabs:
        tab.click()
        for chart in page.find_elements("css selector", ".panel:not([hidden]) [data-chart]"):
            marks = chart.find_elements(
                "css selector", ".plot .point path, .plot .scatterlayer path.point, .plot .heatmaplayer image"
            )
            drawn[chart.get_attribute("data-chart")] = len(marks)
            assert chart.find_element("css selector", ".plot svg.main-svg").size["width"] > 200
    per_result = {
        "energy_by_component",
        "energy_by_layer",
        "cycles_by_cause",
        "roofline",
        "pe_utilization",
        "pe_use_by_layer",
        "area",
        "accuracy_by_layer",
    }
    expected = {f"v{index}-{key}" for index in range(len(results)) for key in per_result}
    assert expected < set(drawn)
    assert {"compare-compare_energy", "compare-compare_cycles", "compare-compare_area"} < set(drawn)
    assert not [chart for chart, marks in drawn.items() if marks == 0]
    assert drawn["v0-roofline"] == len(results[0].layers)
    assert page.get_log("browser") == []


def test_nothing_is_loaded_from_outside_and_nothing_could_be(page: Browser) -> None:
    loaded = page.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [name for name in loaded if not name.startswith(("data:", "blob:"))] == []
    blocked = page.execute_async_script(
        """
        const done = arguments[0];
        addEventListener("securitypolicyviolation", (event) => done(event.blockedURI), { once: true });
        fetch("http://127.0.0.1:9/").then(() => done("loaded"), () => {});
        """
    )
    assert blocked == "http://127.0.0.1:9/"


def test_tabs_work_with_the_keyboard(page: Browser) -> None:
    def chosen() -> list[str]:
        script = "return [...document.querySelectorAll('.panel:not([hidden])')].map(panel => panel.id)"
        panels: list[str] = page.execute_script(script)
        return panels

    tab = page.find_element("id", "tab-compare")
    assert chosen() == ["panel-compare"]
    tab.click()
    for key, panel in (("\ue014", "v0"), ("\ue014", "v1"), ("\ue014", "compare"), ("\ue012", "v1")):
        page.switch_to.active_element.send_keys(key)
        assert chosen() == [f"panel-{panel}"]
        assert page.switch_to.active_element.get_attribute("aria-selected") == "true"


def test_tables_sort_by_the_column_that_is_clicked(page: Browser, results: list[Result]) -> None:
    page.find_element("id", "tab-v0").click()
    heads = page.find_elements("css selector", "#panel-v0 .table:first-of-type thead button")
    energy = next(head for head in heads if head.text.startswith("energy"))
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", energy)
    by_energy = sorted(
        range(1, 21),
        key=lambda number: priced(results[0].layers[number - 1].energy_pj["total"]),
        reverse=True,
    )
    assert _first_column(page, "#panel-v0 .table:first-of-type table") == [str(n) for n in range(1, 21)]
    energy.click()
    assert _first_column(page, "#panel-v0 .table:first-of-type table") == list(map(str, by_energy))
    energy.click()
    assert _first_column(page, "#panel-v0 .table:first-of-type table") == list(map(str, by_energy[::-1]))
    head = energy.find_element("xpath", "..")
    assert head.get_attribute("aria-sort") == "ascending"


def test_a_column_sorts_by_what_it_shows_and_gaps_stand_last(browser: Browser, crowded: str) -> None:
    _emulate(browser, width=1400)
    browser.get(crowded)
    browser.execute_script("document.getElementById('tab-v0').click()")
    read = """
    const table = document.querySelector(arguments[0]);
    const heads = [...table.tHead.rows[0].cells];
    const column = heads.findIndex((head) => head.textContent.startsWith(arguments[1]));
    heads[column].querySelector("button").click();
    return [...table.tBodies[0].rows].map((row) => row.cells[column].firstChild.textContent);
    """
    shown = browser.execute_script(read, "#panel-v0 .table table", "stall")
    shares = [float(text.split()[0]) for text in shown]
    assert len(shares) == 54
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > shares[-1]
    for _ in range(2):
        energies = browser.execute_script(read, "#panel-compare > .scroll table", "energy")
        assert energies[-1] == "not priced"


def test_no_two_names_of_points_collide(browser: Browser, crowded: str) -> None:
    _emulate(browser, width=1400)
    browser.get(crowded)
    boxes = """
    return [...document.querySelectorAll(arguments[0] + " .annotation-text")].map((name) => {
      const box = name.getBoundingClientRect();
      return [box.left, box.top, box.right, box.bottom];
    });
    """
    for tab, chart, least in (("v0", "roofline", 2), ("compare", "pareto_energy_pj_area_um2", 2)):
        browser.execute_script(f"document.getElementById('tab-{tab}').click()")
        names = browser.execute_script(boxes, f"#{tab}-{chart}")
        assert len(names) >= least, chart
        for index, (left, top, right, bottom) in enumerate(names):
            for other in names[:index]:
                apart = right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
                assert apart, (chart, names)


def test_charts_show_places_first_and_unfold(page: Browser) -> None:
    page.find_element("id", "tab-v0").click()
    names = "return document.querySelector('#v0-energy_by_layer .plot').data.map((trace) => trace.name)"
    assert len(page.execute_script(names)) == 5
    page.find_element("css selector", "#v0-energy_by_layer [data-unfold]").click()
    assert len(page.execute_script(names)) == 11  # 13 components without the two that int8 does not have


def test_the_array_plays_what_the_grid_recorded(browser: Browser, artefacts: Path) -> None:
    result = make_result()
    file = artefacts / "array.html"
    file.write_text(render_html([result], pictures=[pictures_of(result)]), encoding="utf-8")
    browser.get(file.resolve().as_uri())
    recording = record(get_mac("int8"), "os")
    assert recording is not None
    script = """
    const slider = document.querySelector("#v0-array input");
    slider.value = arguments[0];
    slider.dispatchEvent(new Event("input"));
    const keys = [0, 1, 2, 3].flatMap((row) => [0, 1, 2, 3].map((column) => `sums-${row}-${column}`));
    return keys.map((key) => document.querySelector(`#v0-array [data-key="${key}"]`).textContent);
    """
    for frame in recording.frames:
        drawn = browser.execute_script(script, frame.cycle)
        assert drawn == [value for row in frame.sums for value in row]
    play = browser.find_element("css selector", "#v0-array [data-play]")
    browser.execute_script("arguments[0].click()", play)
    assert play.get_attribute("aria-pressed") == "true"


def test_layers_of_a_chart_can_be_put_in_another_order_and_parts_hidden(
    page: Browser, results: list[Result]
) -> None:
    page.find_element("id", "tab-v0").click()
    names = "return document.querySelector('#v0-energy_by_layer .plot').data[0].x"
    page.find_element("css selector", "#v0-energy_by_layer option[value=largest]").click()
    dearest = max(results[0].layers, key=lambda layer: priced(layer.energy_pj["total"]))
    assert page.execute_script(names)[0] == dearest.name
    part = page.find_element("css selector", "#v0-energy_by_layer .legend button")
    part.click()
    assert part.get_attribute("aria-pressed") == "false"
    assert (
        page.execute_script("return document.querySelector('#v0-energy_by_layer .plot').data[0].visible")
        is False
    )


@pytest.fixture(scope="module")
def crowded(artefacts: Path) -> str:
    """Three results with long names, estimates, accuracies, a missing price and warnings."""
    results = [
        make_result("toynet", layers=54, accuracy=True),
        make_result("toynet", "e4m3 x e4m3", layers=54, accuracy=True, energy_scale=0.8, estimated=True),
        make_result("toynet", "posit8", layers=54, without_energy={"decoders": f"no row for {'long_' * 30}"}),
    ]
    first = results[2].layers[0].model_copy(update={"name": "backbone/" + "stage_" * 40 + "conv"})
    results[2] = results[2].model_copy(
        update={"layers": [first, *results[2].layers[1:]], "warnings": ["w" * 300]}
    )
    file = artefacts / "crowded.html"
    drawn = [pictures_of(result) for result in results]
    file.write_text(render_html(results, pictures=drawn), encoding="utf-8")
    return file.resolve().as_uri()


@pytest.mark.parametrize("width", [1400, 390, 320])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_tab_is_wider_than_the_screen_and_colours_are_the_reader_s(
    browser: Browser, crowded: str, artefacts: Path, width: int, scheme: str
) -> None:
    _emulate(browser, width=width, scheme=scheme)
    browser.get(crowded)
    tabs = browser.find_elements("css selector", "[role=tab]")
    assert len(tabs) == 4
    for tab in tabs:
        browser.execute_script("arguments[0].click()", tab)
        root = "document.documentElement"
        wide, room = browser.execute_script(f"return [{root}.scrollWidth, {root}.clientWidth]")
        assert wide <= room <= width, tab.text
        charts = browser.execute_script(
            "return [...document.querySelectorAll('.panel:not([hidden]) .main-svg')]"
            ".map(svg => svg.getBoundingClientRect().right)"
        )
        assert charts
        assert max(charts) <= room
        _screenshot(browser, artefacts / f"report_{width}_{scheme}_{tab.get_attribute('id')}.png")
    ground, ink = browser.execute_script(
        "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"
    )
    dark, light = sorted([_brightness(ground), _brightness(ink)])
    assert dark < 100
    assert light > 600
    assert (_brightness(ground) == dark) == (scheme == "dark")


@pytest.mark.parametrize("width", [1400, 390])
def test_letters_are_readable_at_every_width(browser: Browser, crowded: str, width: int) -> None:
    """Nine pixels at least, as drawn; a drawing that is wider than its box scrolls inside it."""
    _emulate(browser, width=width)
    browser.get(crowded)
    sizes: dict[str, float] = {}
    for tab in browser.find_elements("css selector", "[role=tab]"):
        browser.execute_script("arguments[0].click()", tab)
        read = """
        const seen = [];
        for (const words of document.querySelectorAll(".panel:not([hidden]) svg text")) {
          if (!words.textContent.trim() || !words.getClientRects().length) continue;
          const scale = words.getScreenCTM();
          const size = parseFloat(getComputedStyle(words).fontSize) * Math.hypot(scale.a, scale.b);
          seen.push([words.textContent, size]);
        }
        return seen;
        """
        assert browser.execute_script(LEGENDS_TO_SCROLL) == 0
        for words, size in browser.execute_script(read):
            sizes[words] = min(size, sizes.get(words, size))
    assert len(sizes) > 100
    small = {words: size for words, size in sizes.items() if size < 9}
    assert small == {}
    boxes = browser.execute_script(
        "return [...document.querySelectorAll('.panel:not([hidden]) .drawn')]"
        ".map(box => [box.scrollWidth, box.clientWidth, box.scrollHeight, box.clientHeight])"
    )
    assert len(boxes) >= 4
    assert any(wide > room for wide, room, _, _ in boxes) == (width == 390)
    assert all(high <= room for _, _, high, room in boxes), "a drawing scrolls up and down"


def _brightness(colour: str) -> int:
    """The sum of red, green and blue of `rgb(r, g, b)`, 0 to 765."""
    return sum(map(int, colour[4:-1].split(",")))


def test_three_results_print_on_at_most_six_pages(browser: Browser, crowded: str, artefacts: Path) -> None:
    _emulate(browser, width=1400, scheme="dark")
    browser.get(crowded)
    _emulate(browser, width=700, media="print")
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    legends = browser.execute_script("return document.querySelectorAll('.main-svg .legend .bg').length")
    assert legends >= 4
    assert browser.execute_script(LEGENDS_TO_SCROLL) == 0
    _emulate(browser, width=1400, scheme="dark")
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    pdf = base64.b64decode(printed["data"])
    (artefacts / "report.pdf").write_bytes(pdf)
    pages = re.findall(rb"/Type\s*/Page\b", pdf)
    assert 3 <= len(pages) <= 6
    assert b"/MediaBox [0 0 594.95" in pdf  # A4 is 595 points wide


def test_on_paper_every_panel_stands_and_says_which_charts_it_lacks(page: Browser, artefacts: Path) -> None:
    _emulate(page, width=700, scheme="dark", media="print")
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    heights = page.execute_script("return [...document.querySelectorAll('.panel')].map(p => p.offsetHeight)")
    assert len(heights) == 3
    assert min(heights) > 500
    script = "return [...document.querySelectorAll('[data-chart]')].filter(%s).map(c => c.dataset.chart)"
    undrawn = page.execute_script(script % "c => c.offsetHeight && !c.querySelector('svg')")
    assert undrawn == []
    left_out = page.execute_script(script % "c => !c.offsetHeight")
    kinds = ("area", "pe_utilization", "pe_use_by_layer")
    of_all = ("compare_layers", "pareto_energy_pj_area_um2", "pareto_top1_area_um2")
    assert sorted(left_out) == sorted(
        [*(f"compare-{kind}" for kind in of_all), *(f"v{i}-{kind}" for i in (0, 1) for kind in kinds)]
    )
    told = page.find_element("css selector", "#panel-v0 .paper").text
    assert all(f"“{title}”" in told for title in ("Area by place", "PE utilization", "What the PEs do"))
    assert "the drawings" in told
    _screenshot(page, artefacts / "report_print.png")
    _emulate(page, width=1280)


def test_every_chart_has_words_and_a_table_for_those_who_cannot_see_it(page: Browser) -> None:
    for chart in page.find_elements("css selector", "[data-chart]"):
        plot = chart.find_element("css selector", ".plot")
        assert plot.get_attribute("role") == "img"
        assert len(plot.get_attribute("aria-label")) > 20
        assert chart.find_elements("css selector", "details table tbody tr")
