"""The pages in a real browser: clicked through, read on a phone, printed, and tried with hostile words."""

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.foreign import require_packages
from tests.reports.browser import Browser, browser
from tests.reports.events import FAILURE, finding, run_started, whole_run
from tests.reports.folders import left_by
from tests.reports.test_html import COMPARED, RECEIPT, evil_run
from xencbt.harness.catalogue import catalogue_hash
from xencbt.harness.cli import main
from xencbt.harness.findings import Evidence
from xencbt.harness.verdicts import Verdict
from xencbt.reports import html
from xencbt.reports.document import build

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


def red_run() -> Any:
    """Return a run in which much is broken, with everything that others add to it."""
    findings = [finding(f"ENABLE-{number:02}") for number in range(1, 12)]
    findings += [FAILURE, finding("LIST-02", Verdict.BLOCKED), finding("FAULT-01", receipts=(RECEIPT,))]
    run: Any = build(whole_run(*findings))
    broken = next(test for test in run["tests"] if test["verdict"] == "fail")
    broken["evidence"]["replay"] = {"bundle": "b", "python": "import XenAPI  # a", "xe": "xe vdi-list", "steps": []}
    return run


def written(folder: Path, run: Any, **more: Any) -> Path:
    page = folder / "report.html"
    page.write_bytes(html.render(run, **more))
    return page


@pytest.fixture
def red(reader: Browser, tmp_path: Path) -> Browser:
    """Open the page of a red run; at the end nothing was asked for from elsewhere, and no policy was broken."""
    reader.open(written(tmp_path, red_run(), compared=COMPARED))
    return reader


@pytest.fixture(autouse=True)
def _nothing_from_elsewhere(reader: Browser) -> Iterator[None]:
    yield
    assert reader.loaded() == []
    assert reader.complaints() == []


def shown_rows(page: Browser) -> list[str]:
    rows: list[str] = page.run(
        "return [...document.querySelectorAll('.row')].filter(r => r.checkVisibility()).map(r => r.id)"
    )
    return rows


def visible(page: Browser, text: str) -> bool:
    """Tell whether a reader sees `text`."""
    return text in page.driver.find_element(By.TAG_NAME, "main").text


def test_the_first_failure_is_open_and_drawn(red: Browser) -> None:
    assert visible(red, "a bitmap that includes block 7")
    assert red.run("return document.querySelector('.cells path.lost').getBoundingClientRect().width") > 4
    fill = "return getComputedStyle(document.querySelector('.cells path.lost')).fill"
    assert "#p-lost" in red.run(fill), "a pattern, not only a colour"


def test_searching_leaves_the_rows_that_say_so(red: Browser) -> None:
    assert len(shown_rows(red)) == 14
    find = red.driver.find_element(By.ID, "find")
    find.send_keys("recorded CHANGES lost")
    assert shown_rows(red) == ["r-ENABLE-13"]
    assert visible(red, "1 of 14 requirements shown")
    find.send_keys(" nonsense")
    assert shown_rows(red) == []
    assert visible(red, "No requirement is like that.")


def test_verdict_and_level_filter(red: Browser) -> None:
    red.driver.find_element(By.CSS_SELECTOR, "input[name=verdict][value=blocked]").click()
    assert shown_rows(red) == ["r-LIST-02"]
    red.driver.find_element(By.CSS_SELECTOR, "input[name=verdict][value='*']").click()
    assert shown_rows(red) == ["r-ENABLE-13"]
    red.driver.find_element(By.CSS_SELECTOR, "#level option[value=S]").click()
    assert shown_rows(red) == []


def test_a_row_opens_by_keyboard_and_leads_to_its_evidence(red: Browser) -> None:
    summary = red.driver.find_element(By.CSS_SELECTOR, "#r-ENABLE-13 > summary")
    summary.send_keys(Keys.ENTER)
    assert red.run("return document.getElementById('r-ENABLE-13').open")
    red.run("document.querySelectorAll('#broken details').forEach(d => { d.open = false; })")
    link = red.driver.find_element(By.CSS_SELECTOR, "#r-ENABLE-13 a[href^='#t-']")
    aim = str(link.get_attribute("href")).partition("#")[2]
    link.send_keys(Keys.ENTER)
    red.wait("document.getElementById(arguments[0]).open", aim)
    assert visible(red, "a bitmap without block 7")


def test_faults_are_drawn_and_listed_where_a_row_opens(red: Browser) -> None:
    red.driver.find_element(By.CSS_SELECTOR, "#r-FAULT-01 > summary").click()
    red.driver.find_element(By.CSS_SELECTOR, "#r-FAULT-01 .case > summary").click()
    assert visible(red, "struck at 2.500 s")
    assert red.run("return document.querySelector('#r-FAULT-01 .strike').getBoundingClientRect().width") > 0


def test_steps_stand_in_tabs_that_arrows_move_through(red: Browser) -> None:
    tabs = red.driver.find_elements(By.CSS_SELECTOR, "[role=tab]")
    assert [tab.text for tab in tabs] == ["API", "Python", "xe"]
    assert visible(red, "VDI.enable_cbt(disk)")
    tabs[0].send_keys(Keys.ARROW_RIGHT)
    assert red.run("return document.activeElement.textContent") == "Python"
    assert visible(red, "import XenAPI")
    assert not visible(red, "VDI.enable_cbt(disk)")
    tabs[1].send_keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert visible(red, "xe vdi-list")


def test_what_is_to_be_run_can_be_copied(red: Browser) -> None:
    red.tell("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    red.driver.find_element(By.CSS_SELECTOR, ".again .copy").click()
    red.wait("document.querySelector('.again .copy').textContent === 'Copied'")
    read = "const done = arguments[0]; navigator.clipboard.readText().then(done, (error) => done(String(error)))"
    assert red.driver.execute_async_script(read) == f"{FAILURE.evidence.rerun}\n"
    red.driver.find_element(By.CSS_SELECTOR, ".panel .copy").click()
    red.wait("document.querySelector('.panel .copy').textContent === 'Copied'")
    assert red.driver.execute_async_script(read) == "\n".join(FAILURE.evidence.steps) + "\n"


def test_what_was_sent_and_received_is_coloured_and_unchanged(red: Browser) -> None:
    red.run("document.querySelectorAll('.exchange').forEach(d => { d.open = true; })")
    assert visible(red, "<methodResponse>AA==</methodResponse>")
    assert red.run("return document.querySelectorAll('.exchange .k').length") > 0


def test_colours_can_be_chosen(red: Browser) -> None:
    ground = "return getComputedStyle(document.body).backgroundColor"
    button = red.driver.find_element(By.ID, "theme")
    with red.colours("light"):
        light = red.run(ground)
        button.click()
        assert red.run(ground) != light
        button.click()
        assert red.run(ground) == light
    button.click()
    with red.colours("dark"):
        assert red.run(ground) != light


def test_it_fits_a_phone(red: Browser) -> None:
    with red.phone():
        red.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        assert red.run("return document.documentElement.scrollWidth") <= 390


def test_on_paper_all_that_is_broken_is_open(red: Browser) -> None:
    red.run("document.querySelectorAll('details').forEach(d => { d.open = false; })")
    opened = "document.querySelectorAll('#broken .case[open]').length"
    red.run(f"addEventListener('beforeprint', () => {{ window.opened = {opened}; }})")
    paper = base64.b64decode(red.tell("Page.printToPDF", printBackground=True)["data"])
    assert paper.startswith(b"%PDF")
    assert red.run("return window.opened") == 1
    assert red.run(f"return {opened}") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_anybody_from_reading_it(red: Browser, scheme: str) -> None:
    """Contrast, names, roles, landmarks, order of headings: by axe-core."""
    axe = (require_packages("axe-core") / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    with red.colours(scheme):
        red.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        red.wait("!document.querySelector('.panel:not([role])') || document.querySelectorAll('[role=tab]').length")
        red.run(axe)
        found = red.driver.execute_async_script(
            "const done = arguments[0]; axe.run().then((r) => done(r.violations.map("
            "(v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(' | ')}`)))"
        )
    assert found == []


def test_hostile_words_stay_words(reader: Browser, tmp_path: Path) -> None:
    reader.open(written(tmp_path, evil_run()))
    reader.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert visible(reader, "<script>alert(1)</script>")
    assert reader.run("return document.querySelectorAll('img, script:not([type])').length") == 1


def test_thousands_of_failures_open_one_by_one(reader: Browser, tmp_path: Path) -> None:
    evidence = Evidence(actual="x" * 3000, steps=tuple(f"step {number}" for number in range(30)))
    findings = [
        finding("ENABLE-02", Verdict.FAIL, number, reason=f"reason {number}", evidence=evidence)
        for number in range(3000)
    ]
    reader.open(written(tmp_path, build(whole_run(*findings))))
    last = "document.querySelector('#broken .more').lastElementChild"
    reader.run("document.querySelector('#broken .more').open = true")
    assert reader.run(f"return {last}.textContent.includes('step 29')") is False
    reader.run(f"{last}.open = true")
    reader.wait(f"{last}.textContent.includes('step 29')")
    assert reader.run(f"return {last}.querySelectorAll('.copy').length") > 0


def test_the_page_of_allure_shows_the_run_and_loads_nothing(
    reader: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = require_packages("allure") / ".bin"
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    suite = {"version": "0.1.0", "catalogue_hash": catalogue_hash()}
    for day in (1, 2):
        started = run_started(suite=suite, time=f"2026-03-0{day}T10:00:00+00:00")
        folder = left_by([started, *whole_run(FAILURE, finding("ENABLE-02"))[1:]], tmp_path / str(day))
        assert main(["allure", str(folder)]) == 0
    assert len((tmp_path / "allure-history.jsonl").read_text(encoding="utf-8").splitlines()) == 2
    reader.open(folder / "allure.html")
    reader.wait("document.body.innerText.includes('Powered by') || document.body.innerText.includes('Results 2')")
    assert reader.run("return document.body.innerText.includes('seed 42')")
