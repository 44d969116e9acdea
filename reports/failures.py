"""A failure as a reader needs it: what must hold, what came, how to see it happen, and the line that runs it again."""

import shlex
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from xencbt.harness.verdicts import Verdict
from xencbt.reports.layout import WIDTH, Paint, hanging
from xencbt.reports.plain import one_line, visible
from xencbt.reports.run_json import EvidenceRow, FindingRow, RequirementRow, Run
from xencbt.reports.words import attempts_words, nondeciding_note

SHOWN = frozenset({Verdict.ERROR.value, Verdict.FAIL.value, Verdict.STALE.value})
"""Verdicts that need a block of their own; the others are said by their reason."""

BODY_SHOWN = 1200
"""Characters of a request or an answer that a block shows; run.json has the rest."""

STEPS_SHOWN = 40
"""Calls that a block shows: the last ones, which lead to the failure."""

_PAD = len("requirement")
_PLAIN = Paint()


def failure_blocks(run: Run, paint: Paint = _PLAIN, folder: Path | None = None) -> str:
    """Return a block for every test that failed or broke, empty when there is none; `folder` is where the files are."""
    return "\n\n".join(
        failure_block(test, run["requirements"], paint, folder) for test in run["tests"] if test["verdict"] in SHOWN
    )


def failure_block(
    test: FindingRow, requirements: Iterable[RequirementRow], paint: Paint = _PLAIN, folder: Path | None = None
) -> str:
    """Return everything a reader needs of one test that did not pass; without a `folder` it is for DIR to stand for."""
    own = [row for row in requirements if row["id"] in (test.get("violated") or test["requirement"])]
    evidence = test["evidence"]
    verdict = test["verdict"].upper()
    note = nondeciding_note(test, own)
    lines = [f"{paint(test['verdict'], verdict)}  {one_line(test['id'])}" + (f"  ({note})" if note else "")]
    lines.append(_part("because", test["reason"]))
    lines += [_part("requirement", f"{row['id']}: {row['statement']}") for row in own]
    lines += _sources(own)
    lines += _alternatives(evidence["expected"])
    if evidence["actual"] and one_line(evidence["actual"]) != one_line(test["reason"]):
        lines.append(_part("actual", evidence["actual"]))
    if attempts_words(test):
        lines.append(_part("attempts", attempts_words(test)))
    if test["examples"]:
        lines.append(_part("examples", f"{test['examples']} tried, {test['calls']} calls"))
    lines += _steps(evidence["steps"])
    if evidence["exchange"]:
        lines += _exchange(evidence["exchange"])
    if test["verdict"] == Verdict.ERROR.value and evidence["traceback"]:
        lines += _body("traceback", _tail(evidence["traceback"]))
    lines += _replay(evidence, "DIR" if folder is None else str(folder))
    if evidence["rerun"]:
        lines.append(f"  {'again':<{_PAD}}  {visible(evidence['rerun'])}")
    return "\n".join(lines)


def _replay(evidence: EvidenceRow, folder: str) -> list[str]:
    replay, why = evidence.get("replay"), evidence.get("unreplayable")
    if replay:
        bundle = shlex.quote(f"{folder}/{replay['bundle']}")
        return [f"  {'replay':<{_PAD}}  xencbt replay {visible(bundle)}"]
    return [_part("replay", f"none: {why}")] if why else []


def _sources(rows: Iterable[RequirementRow]) -> list[str]:
    lines: list[str] = []
    for page, section, url in dict.fromkeys(
        (row["source"]["page"], row["source"]["section"], row["source"]["url"]) for row in rows
    ):
        lines.append(_part("source", f"{page}, “{section}”"))
        lines += [f"  {'':<{_PAD}}  {visible(url)}"] if url else []
    return lines


def _alternatives(expected: Iterable[str]) -> list[str]:
    return [_part("or" if number else "expected", one) for number, one in enumerate(expected)]


def _steps(steps: list[str]) -> list[str]:
    shown = steps[-STEPS_SHOWN:]
    first = len(steps) - len(shown) + 1
    lines = [
        _part("calls" if number == first else "", f"{number}. {step}") for number, step in enumerate(shown, start=first)
    ]
    return ([_part("calls", f"({first - 1} earlier calls are in run.json)")] if first > 1 else []) + lines


def _exchange(exchange: Mapping[str, Any]) -> list[str]:
    took = f"{float(exchange.get('duration_s', 0)) * 1000:.0f} ms"
    lines = [
        _part(
            "exchange", f"{exchange.get('step') or exchange.get('method', '')} → {exchange.get('outcome', '')} ({took})"
        )
    ]
    for name, mark in (("request", ">"), ("response", "<")):
        if exchange.get(name):
            lines += _body("", str(exchange[name]), mark=f"{mark} ")
    return lines


def _body(head: str, text: str, *, mark: str = "") -> list[str]:
    cut = text if len(text) <= BODY_SHOWN else f"{text[:BODY_SHOWN]}… (cut here; run.json has more)"
    indent = " " * (_PAD + 4)
    wrapped = [
        piece
        for line in cut.splitlines()
        for piece in textwrap.wrap(visible(line), WIDTH - len(indent) - len(mark), drop_whitespace=False) or [""]
    ]
    lines = [f"{indent}{mark}{piece}".rstrip() for piece in wrapped]
    if head and lines:
        lines[0] = f"  {head:<{_PAD}}  {lines[0].lstrip()}"
    return lines


def _tail(text: str) -> str:
    lines = text.rstrip().splitlines()
    return "\n".join(["…", *lines[-12:]] if len(lines) > 12 else lines)


def _part(head: str, text: str) -> str:
    return hanging(head, text, indent=2, pad=_PAD)
