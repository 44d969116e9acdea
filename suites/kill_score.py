"""How the suites fared against the defects of the emulated host: `kill_score.json`, kept by `xencbt prove --record`."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
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


def record(told: Mapping[str, Any], known: Collection[str]) -> None:
    """Keep what a proof found (what prove.json says) with the suites; a partial one is added to what is recorded.

    Of earlier defects those that are not `known` any more are dropped. Each defect keeps the hash of the suites that
    met it; the score has it where it is the same of all.
    """
    suite = told["suite"]
    met = {"suite_hash": suite["suite_hash"]}
    defects = {row["name"]: {name: row[name] for name in KEPT} | met for row in told["defects"]}
    about = {"seed": told["seed"], "clean": [{name: one[name] for name in CLEAN} for one in told["clean"]]}
    if told["partial"]:
        before = recorded() or {"defects": []}
        defects = {row["name"]: row for row in before["defects"] if row["name"] in known} | defects
        about = {name: before.get(name, value) for name, value in about.items()}
    hashes = {row["suite_hash"] for row in defects.values()}
    score = scored(defects.values()) | {
        "date": told["started"][:10],
        "version": suite["version"],
        "catalogue_hash": suite["catalogue_hash"],
        "suite_hash": hashes.pop() if len(hashes) == 1 else "",
    }
    rows = sorted(defects.values(), key=lambda row: (row["layer"], row["name"]))
    text = json.dumps({"score": score, **about, "defects": rows}, ensure_ascii=False, indent=1)
    (FOLDER / FILE).write_text(text + "\n", encoding="utf-8")


def scored(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return how many of the defects of level must were killed by design, and which were not."""
    must = [row for row in rows if row["level"] == "must"]
    survivors = sorted(row["name"] for row in must if row["fate"] != "killed by design")
    return {"killed": len(must) - len(survivors), "of": len(must), "survivors": survivors}
