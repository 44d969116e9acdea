"""Whether a run can be certified, and the certificate it gives: statements that are signed, all from run.json; pure."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from xencbt.harness.catalogue.levels import Certified
from xencbt.harness.verdicts import Verdict
from xencbt.reports.run_json import RequirementRow, Run
from xencbt.reports.words import label

CERTIFICATE_SCHEMA = "xencbt.certificate/1"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the issuer says: whose product it is, of which level, and when; `emulated` asks for a specimen."""

    vendor: str
    product: str
    level: Certified
    issued: str
    emulated: bool = False


def obstacles(run: Run, asked: Asked, *, checked: bool, catalogue_hash: str) -> list[str]:
    """Return every reason why `run` cannot be certified; none: it can.

    `checked` tells that run.json is what its events give, `catalogue_hash` is that of the catalogue of `asked.level`.
    """
    return [
        *_of_the_run(run, checked=checked),
        *_of_the_target(run, asked),
        *_of_the_suite(run, catalogue_hash),
        *_of_the_requirements(run, asked.level),
    ]


def _of_the_run(run: Run, *, checked: bool) -> Iterator[str]:
    if not checked:
        yield "events.jsonl is missing beside run.json, so nothing shows that it says what happened"
    if not run["complete"]:
        yield "the run did not come to its end"
    if run["exit"] != 0:
        yield f"the run ended with exit code {run['exit']}"
    yield from (f"the run broke outside its tests: {problem['reason']}" for problem in run["problems"])
    if run["selection"]["filtered"]:
        yield "the run was filtered: only a part of the suites was judged"
    if run.get("rerun_of"):
        yield "tests of an earlier run were run again: a certificate needs one run in which everything holds"
    words = _words(run["command"])
    if words[:2] != ["xencbt", "run"]:
        yield f"the run was not made by `xencbt run` but by `{words[0] if words else ''}`"
    elif "--" in words:
        yield f"pytest was told more than the suites: {shlex.join(words[words.index('--') :])}"


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # no shell would take it: it was not made by one
        return [command]


def _of_the_target(run: Run, asked: Asked) -> Iterator[str]:
    target = run["target"]
    if target is None:
        yield "the run never reached its target"
        return
    if target["kind"] == "emulator" and not asked.emulated:
        yield "the target was an emulated host, and the certificate was not asked to be marked so (--emulated)"
    if target["kind"] != "emulator" and asked.emulated:
        yield "the target was no emulated host, and the certificate was asked to be marked so (--emulated)"
    if target["defects"]:
        yield f"the emulated host was switched to defects: {', '.join(target['defects'])}"


def _of_the_suite(run: Run, catalogue_hash: str) -> Iterator[str]:
    suite = run["suite"]
    if suite["catalogue_hash"] != catalogue_hash:
        yield f"the run was judged by another catalogue: certify it with xencbt {suite['version']}, which ran it"
    if suite.get("modified") is None:
        yield "the run does not say whether its suite was as installed"
    elif suite.get("modified"):
        yield f"the suite was modified: {'; '.join(suite.get('changed', ()))}"


def _of_the_requirements(run: Run, level: Certified) -> Iterator[str]:
    rows = {row["id"]: row for row in run["requirements"]}
    for name in level.required:
        row = rows.get(name)
        if row is None:
            yield f"{name} is required, and missing"
        elif row["verdict"] == Verdict.KNOWN.value:
            yield f"{name} is required, and a known issue: {row['reason']}"
        elif row["verdict"] != Verdict.PASS.value:
            yield f"{name} is required, and {label(row)}: {row['reason']}"
        elif not row["counts"].get(Verdict.PASS.value):
            yield f"{name} is required, and no test of it passed"
    for row in run["requirements"]:
        if row.get("flaky"):
            yield f"{row['id']} is flaky: it passed in one attempt and not in another"


def certificate(run: Run, asked: Asked, files: dict[str, str]) -> dict[str, Any]:
    """Return the statements of a certificate: JSON of texts, whole numbers, booleans, lists and objects only.

    `files` are the sha256 of the files of the run, by name. The run must be one without `obstacles`.
    """
    target, suite = run["target"], run["suite"]
    assert target is not None
    return {
        "schema": CERTIFICATE_SCHEMA,
        "issued": asked.issued,
        "vendor": asked.vendor,
        "product": asked.product,
        "level": asked.level.name,
        "emulated": target["kind"] == "emulator",
        "target": {
            "kind": target["kind"],
            "product": target["product"],
            "version": target["version"],
            "build": target["build"],
            "api_version": target["api_version"],
            "driver": target.get("driver", ""),
        },
        "suite": {
            "version": suite["version"],
            "catalogue_hash": suite["catalogue_hash"],
            "files_hash": suite.get("files_hash", ""),
            "modified": bool(suite.get("modified")),
        },
        "run": {
            "started": run["started"],
            "duration_s": round(run["duration_s"] or 0),
            "seed": run["seed"],
            "speed": run["speed"],
            "profile": run["profile"],
            "complete": run["complete"],
            "filtered": run["selection"]["filtered"],
            "exit": run["exit"],
            "files": files,
        },
        "required": list(asked.level.required),
        "requirements": [_requirement(row) for row in run["requirements"]],
        "counts": dict(run["counts"]),
        "capabilities": shown_capabilities(run),
        "kill_score": _kill_score(run),
        "limits": list(limits(run, asked.level)),
        "reproduce": list(_reproduce(run)),
    }


def _requirement(row: RequirementRow) -> dict[str, Any]:
    return {
        "id": row["id"],
        "level": row["level"],
        "statement": row["statement"],
        "documented": bool(row["source"]["url"]),
        "verdict": row["verdict"],
        "deviation": row["deviation"] or "",
        "sizes_not_run": row.get("sizes_not_run") or "",
        "flaky": bool(row.get("flaky")),
    }


def shown_capabilities(run: Run) -> list[str]:
    """Return the capabilities that a test which passed could not do without: seen at work, and not only announced."""
    announced = {one["name"] for one in run["target"]["capabilities"] if one["present"]} if run["target"] else set()
    passed = [test for test in run["tests"] if test["verdict"] == Verdict.PASS.value and test["calls"]]
    return sorted({need for test in passed for need in test.get("needs", ())} & announced)


def _kill_score(run: Run) -> dict[str, Any] | None:
    score: Any = run["suite"].get("kill_score")
    return None if score is None else {key: value for key, value in score.items() if not isinstance(value, float)}


def limits(run: Run, level: Certified) -> Iterator[str]:
    """Yield what a reader of the certificate must know that it does not say, or says with a reservation."""
    target = run["target"]
    if target is not None and target["kind"] != "emulator" and target["tls"] in {"not verified", "none (http)"}:
        yield "the host's certificate was not verified: only the network vouches for which host answered"
    for row in run["requirements"]:
        if row["id"] in level.required and row.get("sizes_not_run"):
            yield f"{row['id']} was judged without these sizes: {row['sizes_not_run']}"
        elif row["id"] not in level.required and row["verdict"] != Verdict.PASS.value:
            yield f"{row['id']} is not required, and {row['verdict']}: {row['reason']}"
    if run["journal"] and run["journal"]["left"]:
        yield f"the run could not remove {len(run['journal']['left'])} of the objects it created"


def _reproduce(run: Run) -> Iterator[str]:
    yield f"pip install xencbt=={run['suite']['version']}"
    words = ["xencbt", "run", "--seed", str(run["seed"]), "--speed", run["speed"], "--profile", run["profile"]]
    words += ["--strict"] if run["strict"] else []
    on_a_host = " --target URL --user USER --sr UUID --allow … (see docs/real-host.md)"
    yield shlex.join(words) + ("" if run["target"] and run["target"]["kind"] == "emulator" else on_a_host)
