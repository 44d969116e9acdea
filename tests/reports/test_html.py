"""report.html: what stands on the page, and that nothing a target said is more than text there."""

import base64
import hashlib
import json
import re
import zlib
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reports.events import FAILURE, finding, journal, ran, run_finished, run_started, selected, target, whole_run
from xencbt.harness.catalogue import CATALOGUE
from xencbt.harness.findings import Evidence, Finding
from xencbt.harness.verdicts import Verdict
from xencbt.reports import html
from xencbt.reports.document import build
from xencbt.reports.html.again import replay_command
from xencbt.reports.html.packing import INLINE_BYTES
from xencbt.reports.html.page import SYMBOLS
from xencbt.reports.run_json import Run

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
RECEIPT = {
    "fault": "answer-lost",
    "phase": "after",
    "method": "VDI.enable_cbt",
    "nth": 1,
    "armed": "2026-03-01T10:00:01+00:00",
    "armed_s": 1.0,
    "fired": True,
    "firings": [{"time": "2026-03-01T10:00:02+00:00", "time_s": 2.5, "call": 1, "method": "VDI.enable_cbt"}],
    "healed": "2026-03-01T10:00:03+00:00",
    "healed_s": 3.25,
    "note": "",
}


class Page(HTMLParser):
    """What a browser would make of the page: its elements, and its text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self._in = ""
        self.feed(page.decode("utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._in = tag

    def handle_data(self, data: str) -> None:
        (self.scripts if self._in in {"script", "style"} else self.words).append(data)

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002  the signature of a parser
        self._in = ""

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def kinds(self) -> set[str]:
        return {name for name, _ in self.elements}


def page(*findings: Finding, compared: dict[str, Any] | None = None) -> Page:
    return Page(html.render(build(whole_run(*findings)), compared))


def test_the_top_says_what_was_judged_and_what_came_of_it() -> None:
    text = page(FAILURE, finding("ENABLE-02")).text
    for said in (
        "Does not conform: the emulated host xencbt emulator 0.1.0 breaks 1 requirement: ENABLE-13.",
        "42, quick search",
        "xencbt 0.1.0, catalogue abc123",
        "http://127.0.0.1:8080/",
        "not measured",
        "✗ 1 fail",
        "✓ 1 pass",
    ):
        assert said in text


def test_a_failure_shows_all_that_a_reader_needs() -> None:
    shown = page(FAILURE)
    for said in (
        CATALOGUE["ENABLE-13"].statement,
        *FAILURE.evidence.expected,
        FAILURE.evidence.actual,
        *FAILURE.evidence.steps,
        "<methodResponse>AA==</methodResponse>",
        FAILURE.evidence.rerun,
        "17 examples tried",
        "204 calls",
        "lost: block 7",
        "too much: block 9",
        "Traceback",
    ):
        assert said in shown.text
    classes = {attributes.get("class") for attributes in shown.all("path")}
    assert {"kept", "lost", "more"} <= classes


def test_every_requirement_has_a_row_that_names_its_verdict_by_word_and_symbol() -> None:
    findings = [finding(row.id, verdict) for row, verdict in zip(CATALOGUE, Verdict, strict=False)]
    shown = page(*findings)
    rows = [attributes for attributes in shown.all("details") if (attributes.get("class") or "").startswith("row ")]
    assert [row["id"] for row in rows] == [f"r-{one.requirement[0]}" for one in findings]
    assert [row["data-verdict"] for row in rows] == [one.verdict.value for one in findings]
    assert set(SYMBOLS) == {verdict.value for verdict in Verdict}
    assert len(set(SYMBOLS.values())) == len(SYMBOLS)
    for one in findings:
        assert f"{SYMBOLS[one.verdict.value]} {one.verdict.value}" in shown.text


def test_evidence_stands_once_and_other_rows_lead_to_it() -> None:
    both = Finding(
        "suites.x::test_both", ("LIST-02", "LIST-04"), Verdict.FAIL, "lost", evidence=Evidence(actual="unmistakable")
    )
    shown = page(both)
    assert shown.text.count("unmistakable") == 1
    assert {"#t-1"} <= {link.get("href") for link in shown.all("a")}
    ids = [attributes["id"] for _, attributes in shown.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_faults_stand_on_a_line_of_time() -> None:
    shown = page(finding("FAULT-01", receipts=(RECEIPT,)))
    assert "answer-lost · after call 1 of VDI.enable_cbt" in shown.text
    assert "armed at 1.000 s; struck at 2.500 s (VDI.enable_cbt, call 1); healed at 3.250 s" in shown.text
    (bar,) = [one for one in shown.all("rect") if one.get("class") == "armed"]
    (mark,) = [one for one in shown.all("path") if one.get("class") == "strike"]
    assert (bar["x"], bar["width"]) == ("0.0", "600.0")
    assert (mark["d"] or "").startswith("M400.0 ")


@pytest.mark.parametrize("receipt", [{"fault": "old"}, {"fault": "old", "armed": "yesterday"}])
def test_receipts_without_times_are_still_told(receipt: dict[str, Any]) -> None:
    assert '"fault": "old"' in page(finding("FAULT-01", receipts=(receipt,))).text


def test_the_page_needs_nothing_from_elsewhere_and_lets_nothing_in() -> None:
    shown = page(FAILURE)
    assert shown.kinds().isdisjoint({"link", "img", "iframe", "object", "embed", "base"})
    assert not [one for name, one in shown.elements if {"src", "style", "onclick", "srcset"} & one.keys()]
    (policy,) = [one["content"] for one in shown.all("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    style, script = shown.scripts
    for kind, text in (("style", style), ("script", script)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert not re.search(r"url\((?!#)", style)


def evil_run() -> Run:
    """Return a run in which everything that can come from a target is hostile."""
    exchange = dict.fromkeys(("step", "method", "outcome", "request", "response"), EVIL) | {"duration_s": 0.1}
    bitmap = dict(FAILURE.evidence.bitmap or {}) | {"from": EVIL, "to": EVIL}
    evidence = Evidence((EVIL,), EVIL, (EVIL,), exchange, EVIL, EVIL, bitmap=bitmap)
    receipt = RECEIPT | {"fault": EVIL, "method": EVIL, "note": EVIL}
    bad = Finding(
        f"suites.x::test_{EVIL}",
        ("ENABLE-02",),
        Verdict.FAIL,
        EVIL,
        receipts=(receipt, {"fault": EVIL}),
        evidence=evidence,
        created={EVIL: 1},
    )
    loose = Finding(f"capability::{EVIL}", (), Verdict.FAIL, EVIL)
    who = target(
        product=EVIL,
        version=EVIL,
        build=EVIL,
        api_version=EVIL,
        url=f"http://127.0.0.1/{EVIL}",
        defects=[EVIL],
        capabilities=[{"name": EVIL, "present": False, "detail": EVIL}],
    )
    gone = journal(left=[EVIL], troubles=[EVIL], clean=EVIL)
    events = [run_started(command=EVIL), who, selected("ENABLE-02"), *ran(bad, loose), gone]
    events += [{"event": "problem", "verdict": "error", "reason": EVIL}, run_finished()]
    run: Any = build(events)
    run["suite"]["kill_score"] = {"killed": 1, "of": 2, "survivors": [EVIL], "date": EVIL, "version": EVIL}
    run["compared"] = {"with": EVIL, "rows": {"ENABLE-02": EVIL}}
    run["requirements"][0] |= {"flaky": True, "sizes_not_run": EVIL}
    run["known_issues"] = {"judged": [], "ignored": [{"id": EVIL, "reason": EVIL}]}
    run["suite"] |= {"modified": True, "changed": [EVIL]}
    for test in run["tests"]:
        test["issue"] = {"id": EVIL, "link": f"javascript:{EVIL}", "owner": EVIL, "expires": EVIL}
        test["attempts"] = [{"verdict": EVIL, "reason": EVIL}]
        test["evidence"]["replay"] = {"bundle": EVIL, "python": EVIL, "xe": EVIL, "steps": [EVIL]}
    whole: Run = run
    return whole


def test_what_a_target_says_is_text_and_nothing_else() -> None:
    shown = Page(html.render(evil_run()))
    clean = page(FAILURE, finding("FAULT-01", receipts=(RECEIPT,)))
    assert len(shown.all("script")) == len(clean.all("script")) == 1
    assert shown.kinds() <= clean.kinds() | {"em"}
    assert not [one for _, one in shown.elements if "onerror" in one]
    assert shown.text.count("alert(1)") > 40
    assert not [one["href"] for one in shown.all("a") if not (one["href"] or "").startswith(("#", "https://docs."))]


@given(st.text(st.characters(), min_size=1))
def test_whatever_a_target_says_can_be_written_and_moves_nothing(said: str) -> None:
    bad = finding("ENABLE-02", Verdict.FAIL, reason=said, evidence=Evidence(actual=said, steps=(said,)))
    written = html.render(build(whole_run(bad))).decode("utf-8")
    assert not {"\x1b", "\u202e", "\u2066", "\x00"} & set(written)


def test_many_failures_are_packed_and_all_there() -> None:
    evidence = Evidence(actual="x" * 20_000, steps=("a", "b"))
    findings = [
        finding("ENABLE-02", Verdict.FAIL, number, reason=f"reason {number} \ud800 </script>", evidence=evidence)
        for number in range(120)
    ]
    written = html.render(build(whole_run(*findings)))
    assert len(written) < INLINE_BYTES + 300_000
    shown = Page(written)
    chunks = [json.loads(zlib.decompress(base64.b64decode(text))) for text in shown.scripts[1:-1]]
    packed = [one for one in shown.all("div") if one.get("class") == "packed"]
    found = [chunks[int(one["data-chunk"] or "")][int(one["data-at"] or "")] for one in packed]
    assert len(packed) > 50
    inline = shown.text.count("because") + len(re.findall(rb'<p class="because">', written))
    assert inline + len(found) == 120
    assert all('<p class="because">reason ' in fragment for fragment in found)


COMPARED = {"with": "yesterday's run", "rows": {"ENABLE-13": "regressed"}}


def test_what_is_new_is_said_where_somebody_compared() -> None:
    assert "This run was not compared" in page(FAILURE).text
    text = page(FAILURE, finding("ENABLE-02"), compared=COMPARED).text
    assert "Compared with yesterday's run : 1 regressed" in text
    assert "Regressed since yesterday's run" in text
    older = {"with": "yesterday's run", "rows": {"LIST-02": "fixed"}}
    assert "not judged then ENABLE-13 , now fail" in page(FAILURE, finding("LIST-02"), compared=older).text


def test_the_kill_score_is_told_with_its_survivors() -> None:
    run: Any = build(whole_run(finding("ENABLE-02")))
    run["suite"]["kill_score"] = {
        "killed": 36,
        "of": 38,
        "survivors": ["lost-bit"],
        "date": "2026-11-28",
        "version": "0.1.0",
    }
    text = Page(html.render(run)).text
    assert "36 of 38 planted defects noticed" in text
    assert "Not noticed: lost-bit." in text


def test_steps_for_other_clients_and_attempts_are_shown_where_there_are_any() -> None:
    run: Any = build(whole_run(FAILURE))
    (test,) = run["tests"]
    test["evidence"]["replay"] = {
        "bundle": "bundles/1.json",
        "python": "import XenAPI",
        "xe": "xe vdi",
        "steps": ["enable a"],
    }
    test["attempts"] = [{"verdict": "pass", "reason": ""}]
    shown = Page(html.render(run))
    panels = [one["data-title"] for one in shown.all("div") if one.get("class") == "panel"]
    assert panels == ["In words", "API", "Python", "xe"]
    assert "xencbt replay bundles/1.json" in shown.text


@pytest.mark.parametrize(
    ("rerun", "options"),
    [
        ("xencbt run --seed 1 --requirement A-01 --profile xapi -- -k t", " --profile xapi"),
        (
            "xencbt run --seed 1 --requirement A-01 --defect=a --faults=b --speed nightly --insecure -- -k t",
            " --defect=a --insecure",
        ),
        (
            "xencbt run --seed 1 --target https://h --user 'a b' --sr u -- -k t",
            " --target https://h --user 'a b' --sr u",
        ),
        ("xencbt run 'never closed", ""),
        ("pytest --seed 1", ""),
        ("", ""),
    ],
)
def test_a_replay_goes_to_the_target_that_failed(rerun: str, options: str) -> None:
    assert replay_command(rerun, "bundles/a.json") == f"xencbt replay bundles/a.json{options}"


def test_the_page_says_that_command() -> None:
    run: Any = build(whole_run(FAILURE))
    run["tests"][0]["evidence"] |= {"rerun": "xencbt run --seed 1 --defect=x -- -k t"}
    run["tests"][0]["evidence"]["replay"] = {"bundle": "b.json", "python": "", "xe": "", "steps": []}
    assert Page(html.render(run)).text.count("xencbt replay b.json --defect=x") == 2


@pytest.mark.parametrize("events", [[], [run_finished(complete=False, interrupted=True)]])
def test_a_run_that_came_to_nothing_has_a_page(events: list[Any]) -> None:
    text = Page(html.render(build([run_started(), *events]))).text
    assert "No verdict" in text
    assert "The run did not come to its end" in text
    assert "The target was never reached" in text


def test_a_suite_that_is_not_as_installed_is_said_to_be_none_to_trust() -> None:
    run: Any = build(whole_run(finding("ENABLE-02")))
    assert "not as it was installed" not in Page(html.render(run)).text
    run["suite"] |= {"modified": True, "changed": ["suites/play.py"], "suite_hash": "a"}
    run["suite"]["kill_score"] = {"killed": 1, "of": 1, "survivors": [], "suite_hash": "b"}
    text = Page(html.render(run)).text
    assert "The suite is not as it was installed: suites/play.py" in text
    assert "measured with other tests than those that judged here" in text


def test_a_known_issue_leads_to_where_it_is_told() -> None:
    run: Any = build(whole_run(finding("ENABLE-02", Verdict.KNOWN, evidence=Evidence(actual="as recorded"))))
    link = "https://issues.invalid/1"
    run["tests"][0]["issue"] = {"id": "XCP-1", "link": link, "owner": "ann", "expires": "2027-01-01"}
    shown = Page(html.render(run))
    assert "Known issue XCP-1 , of ann, until 2027-01-01" in shown.text
    assert "Nothing else of what was judged. Known issues: ENABLE-02 (XCP-1)." in shown.text
    assert link in {one.get("href") for one in shown.all("a")}


def test_the_same_fault_again_and_again_shares_a_line() -> None:
    later = RECEIPT | {"armed_s": 5.0, "healed_s": 6.0, "firings": []}
    other = later | {"fault": "delay"}
    shown = page(finding("FAULT-01", receipts=(RECEIPT, later, other)))
    bars = [one["y"] for one in shown.all("rect") if one.get("class") == "armed"]
    assert bars == ["20", "20", "56"]
    assert shown.text.count("armed at") == 3
