"""junit.xml: one test case a test, for the CI systems that read nothing else."""

from collections.abc import Mapping
from xml.etree import ElementTree as ET

from xencbt.harness.verdicts import Verdict
from xencbt.reports.failures import failure_block
from xencbt.reports.plain import xml_text
from xencbt.reports.run_json import FindingRow, RequirementRow, Run
from xencbt.reports.words import nondeciding_note, run_trouble, target_name

ELEMENTS = {Verdict.PASS.value: None, Verdict.ERROR.value: "error"} | dict.fromkeys(
    (Verdict.FAIL.value, Verdict.STALE.value), "failure"
)
"""How JUnit says a verdict; every other one is `skipped`."""


def render(run: Run) -> bytes:
    """Return junit.xml for `run`, in UTF-8.

    What broke outside any test, and a run that did not come to its end, is a test case of its own (`xencbt.run`), so
    that a reader of JUnit alone does not take it for a run without trouble.
    """
    trouble = run_trouble(run)
    said = [ELEMENTS.get(test["verdict"], "skipped") for test in run["tests"]]
    suite = _element(
        None,
        "testsuite",
        name="xencbt",
        tests=len(said) + len(trouble),
        failures=said.count("failure"),
        errors=said.count("error") + len(trouble),
        skipped=said.count("skipped"),
        time=_seconds(run["duration_s"] or 0.0),
        timestamp=run["started"],
    )
    _properties(suite, _of_run(run))
    for test in run["tests"]:
        _case(suite, test, run)
    for message in trouble:
        case = _element(suite, "testcase", classname="xencbt.run", name=message, time=_seconds(0.0))
        _element(case, "error", message=message, type=Verdict.ERROR.value)
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _of_run(run: Run) -> dict[str, str]:
    return {
        "target": target_name(run["target"]),
        "profile": run["profile"],
        "seed": str(run["seed"]),
        "speed": run["speed"],
        "suite": run["suite"]["version"],
        "catalogue": run["suite"]["catalogue_hash"],
        "complete": str(run["complete"]).lower(),
        "exit": str(run["exit"]),
    }


def _case(suite: ET.Element, test: FindingRow, run: Run) -> None:
    module, _, name = test["id"].partition("::")
    rows = [row for row in run["requirements"] if row["id"] in test["requirement"]]
    case = _element(suite, "testcase", classname=module, name=name or module, time=_seconds(test["duration_s"]))
    _properties(case, _of_test(test, rows, run))
    element = ELEMENTS.get(test["verdict"], "skipped")
    if element is None:
        return
    note = nondeciding_note(test, rows)
    message = f"{test['verdict']}{f' ({note})' if note else ''}: {test['reason']}"
    detail = _element(case, element, message=message, type=test["verdict"])
    if element != "skipped":
        detail.text = xml_text(failure_block(test, rows))


def _of_test(test: FindingRow, rows: list[RequirementRow], run: Run) -> dict[str, str]:
    known = {row["id"]: row["level"] for row in rows}
    return {
        "requirement": ", ".join(test["requirement"]),
        "level": ", ".join(known.get(name, "") for name in test["requirement"]),
        "verdict": test["verdict"],
        "deviation": ", ".join(test["deviations"]),
        "sizes not run": test.get("sizes_not_run", ""),
        "seed": str(run["seed"]),
        "target": target_name(run["target"]),
        "examples": str(test["examples"]),
        "calls": str(test["calls"]),
        "attempts": ", ".join(attempt["verdict"] for attempt in test.get("attempts", ())),
        "flaky": str(bool(test.get("flaky"))).lower(),
    }


def _properties(parent: ET.Element, values: Mapping[str, str]) -> None:
    properties = _element(parent, "properties")
    for name, value in values.items():
        _element(properties, "property", name=name, value=value)


def _element(parent: ET.Element | None, tag: str, **attributes: object) -> ET.Element:
    clean = {name: xml_text(str(value)) for name, value in attributes.items()}
    return ET.Element(tag, clean) if parent is None else ET.SubElement(parent, tag, clean)


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"
