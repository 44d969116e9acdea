"""How the suites fared against the defects of the emulated host: `kill_score.json`, kept by `xencbt prove --record`."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import xencbt.suites

FILE = "kill_score.json"
FOLDER = Path(xencbt.suites.__path__[0])
KEPT = ("name", "level", "layer", "breaks", "fate", "failed", "killers", "by_search", "calls", "seconds")
"""What is kept of each defect."""

CLEAN = ("profile", "passes", "passed", "calls")
"""What is kept of each run against the clean host."""


@cache
def suite_hash() -> str:
    """Return the sha256 (hex) of the suites' source: equal in two runs that were judged by the same tests."""
    digest = hashlib.sha256()
    for place in sorted(FOLDER.glob("*.py")):
        digest.update(f"{place.name}\0".encode() + place.read_bytes() + b"\0")
    return digest.hexdigest()


def recorded() -> dict[str, Any] | None:
    """Return what was recorded last, as `record` wrote it; None where nothing was."""
    try:
        told: dict[str, Any] = json.loads((FOLDER / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return told


def kill_score() -> dict[str, Any] | None:
    """Return the score as a run.json tells it: how many of how many, which survived, when, and of which suites."""
    told = recorded()
    return None if told is None else told["score"]


def may_add(told: Mapping[str, Any]) -> bool:
    """Tell whether a proof of some defects may be added: what is recorded was measured of the very same suites."""
    before = recorded()
    return before is not None and before["score"]["suite_hash"] == told["suite_hash"]


def record(told: Mapping[str, Any]) -> None:
    """Keep what a proof found (what prove.json says) with the suites; a partial one is added to what is recorded."""
    suite = told["suite"]
    defects = {row["name"]: {name: row[name] for name in KEPT} for row in told["defects"]}
    about = {"seed": told["seed"], "clean": [{name: one[name] for name in CLEAN} for one in told["clean"]]}
    if told["partial"]:
        before = recorded() or {}
        defects = {row["name"]: row for row in before["defects"]} | defects
        about = {name: before[name] for name in about}
    score = scored(defects.values()) | {
        "date": told["started"][:10],
        "version": suite["version"],
        "catalogue_hash": suite["catalogue_hash"],
        "suite_hash": suite["suite_hash"],
    }
    rows = sorted(defects.values(), key=lambda row: (row["layer"], row["name"]))
    text = json.dumps({"score": score, **about, "defects": rows}, ensure_ascii=False, indent=1)
    (FOLDER / FILE).write_text(text + "\n", encoding="utf-8")


def scored(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return how many of the defects of level must were killed by design, and which were not."""
    must = [row for row in rows if row["level"] == "must"]
    survivors = sorted(row["name"] for row in must if row["fate"] != "killed by design")
    return {"killed": len(must) - len(survivors), "of": len(must), "survivors": survivors}
