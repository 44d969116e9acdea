"""lab.json and what stands on the console when a lab is over."""

import json
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]  # ships no types
import pytest

from tests.reports.events import finding, run_started, whole_run
from xencbt.harness.verdicts import Exit, Verdict
from xencbt.reports.document import build
from xencbt.reports.lab import across, combined_exit, lab_summary, target_row
from xencbt.reports.lab_json import LAB_SCHEMA, LabSummary, LabTargetRow
from xencbt.reports.run_json import Run

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "lab.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

GOOD = build(whole_run(finding("ENABLE-01"), finding("ENABLE-02")))
BAD = build(whole_run(finding("ENABLE-02", Verdict.FAIL), finding("ENABLE-01")))


def row(name: str, run: Run | None, **changes: object) -> LabTargetRow:
    made = target_row(
        name, url="https://10.0.0.1", srs=["s"], workers=1, run=run, path=f"{name}/run.json" if run else None
    )
    made.update(changes)  # type: ignore[typeddict-item]  # a test says what differs
    return made


def lab(*rows: LabTargetRow, **runs: Run) -> LabSummary:
    exits = [row["exit"] for row in rows]
    return LabSummary(
        schema=LAB_SCHEMA,
        complete=True,
        interrupted=False,
        exit=int(combined_exit(exits, interrupted=False)),
        started="2026-03-01T10:00:00+00:00",
        duration_s=61.0,
        command="xencbt run --lab",
        at_once=2,
        targets=list(rows),
        requirements=across(runs),
    )


@pytest.mark.parametrize(
    ("exits", "combined"),
    [
        ([0, 0], Exit.OK),
        ([0, 2], Exit.UNDECIDED),
        ([2, 1, 0], Exit.FAILED),
        ([1, 4, 2], Exit.ERROR),
        ([0, 3], Exit.ERROR),
        ([0, None], Exit.ERROR),
        ([0, 130], Exit.ERROR),
        ([], Exit.ERROR),
    ],
)
def test_the_worst_run_decides(exits: list[int | None], combined: Exit) -> None:
    assert combined_exit(exits, interrupted=False) is combined
    assert combined_exit(exits, interrupted=True) is Exit.INTERRUPTED


def test_the_summary_says_of_each_target_what_its_run_says() -> None:
    refused = row("c", None, exit=3, reason="the target has no SR s")
    text = lab_summary(lab(row("a", GOOD), row("b", BAD), refused, a=GOOD, b=BAD), "out")
    assert text.splitlines() == [
        "differs    a     b",
        "ENABLE-02  pass  fail",
        "",
        "target  exit  pass  fail  time  folder",
        "a       0     2     0     12 s  a/",
        "b       1     1     1     12 s  b/",
        "c       3     -     -     -     -",
        "",
        "a  Conforms: the emulated host xencbt emulator 0.1.0 does what the documentation requires in ENABLE.",
        "b  Does not conform: the emulated host xencbt emulator 0.1.0 breaks 1 requirement: ENABLE-02.",
        "c  No verdict: the target has no SR s",
        "",
        "reports  out/",
        "3 targets: exit 0: 1, exit 1: 1, exit 3: 1 · 1 min 01 s · exit 4",
    ]


def test_where_all_agree_nothing_differs() -> None:
    assert "differs" not in lab_summary(lab(row("a", GOOD), row("b", GOOD), a=GOOD, b=GOOD), "out")


def test_requirements_stand_in_the_catalogue_s_order_with_every_target_that_selected_them() -> None:
    other = build(whole_run(finding("DISABLE-01"), finding("ENABLE-02", Verdict.FAIL)))
    rows = across({"b": other, "a": GOOD})
    assert [row["id"] for row in rows] == ["ENABLE-01", "ENABLE-02", "DISABLE-01"]
    assert rows[1]["verdicts"] == {"b": "fail", "a": "pass"}
    assert rows[0]["verdicts"] == {"a": "pass"}


def test_a_lab_is_as_its_schema_says() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    VALIDATOR.validate(lab(row("a", GOOD), row("b", None), a=GOOD))
    died = build([run_started()])
    VALIDATOR.validate(lab(row("a", died), a=died))


@pytest.mark.parametrize("change", [{"exit": 7}, {"schema": "xencbt.lab/2"}, {"targets": [{}]}, {"at_once": 0}])
def test_the_schema_refuses_what_no_lab_says(change: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(lab(row("a", GOOD), a=GOOD) | change)


def test_what_a_target_said_cannot_move_the_terminal() -> None:
    text = lab_summary(lab(row("a", None, reason="gone\x1b[2J\nexit 0")), "out")
    assert "\x1b" not in text
    assert not any(line.strip() == "exit 0" for line in text.splitlines())
