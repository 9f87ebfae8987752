"""Does the report work in a browser: no errors, every chart drawn, tabs and sorting, nothing from outside?"""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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
    assert [tab.text for tab in tabs] == ["Comparison", "int8_32x32", "elma8_32x32"]
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


@pytest.mark.parametrize(("name", "width", "scheme"), [("desktop", 1280, "light"), ("phone", 390, "dark")])
def test_the_page_fits_its_width_and_follows_the_reader_s_colours(
    browser: Browser, report: str, artefacts: Path, name: str, width: int, scheme: str
) -> None:
    _emulate(browser, width=width, scheme=scheme)
    browser.get(report)
    browser.find_element("id", "tab-v1").click()
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 100) == (scheme == "dark")
    _screenshot(browser, artefacts / f"report_{name}.png")
    assert (artefacts / f"report_{name}.png").stat().st_size > 10_000


def test_on_paper_every_panel_and_chart_stands(page: Browser, artefacts: Path) -> None:
    _emulate(page, width=700, scheme="dark", media="print")
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    heights = page.execute_script("return [...document.querySelectorAll('.panel')].map(p => p.offsetHeight)")
    assert len(heights) == 3
    assert min(heights) > 500
    undrawn = page.execute_script(
        "return [...document.querySelectorAll('[data-chart]')].filter(c => !c.querySelector('svg')).length"
    )
    assert undrawn == 0
    _screenshot(page, artefacts / "report_print.png")
    _emulate(page, width=1280)


def test_every_chart_has_words_and_a_table_for_those_who_cannot_see_it(page: Browser) -> None:
    for chart in page.find_elements("css selector", "[data-chart]"):
        plot = chart.find_element("css selector", ".plot")
        assert plot.get_attribute("role") == "img"
        assert len(plot.get_attribute("aria-label")) > 20
        assert chart.find_elements("css selector", "details table tbody tr")
