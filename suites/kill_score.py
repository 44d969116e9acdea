"""How the suites fared against the defects of the emulated host: `kill_score.json`, kept by `xencbt prove --record`."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import xencbt.suites

FILE = "kill_score.json"
KEPT = ("name", "level", "layer", "breaks", "fate", "failed", "killers", "by_search", "calls", "seconds")
"""What is kept of each defect."""


@cache
def suite_hash() -> str:
    """Return the sha256 (hex) of the suites' source: equal in two runs that were judged by the same tests."""
    digest = hashlib.sha256()
    for place in sorted(files(xencbt.suites).iterdir(), key=lambda each: each.name):
        if place.name.endswith(".py"):
            digest.update(f"{place.name}\0".encode() + place.read_bytes() + b"\0")
    return digest.hexdigest()


def recorded() -> dict[str, Any] | None:
    """Return what was recorded last, as `record` wrote it; None where nothing was."""
    try:
        told: dict[str, Any] = json.loads(files(xencbt.suites).joinpath(FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return told


def kill_score() -> dict[str, Any] | None:
    """Return the score as a run.json tells it: how many of how many, which survived, when, and of which suites."""
    told = recorded()
    return None if told is None else told["score"]


def record(told: Mapping[str, Any]) -> None:
    """Keep the score of a proof (what prove.json says) with the suites, with a row for each defect."""
    suite = told["suite"]
    score = dict(told["score"]) | {
        "date": told["started"][:10],
        "version": suite["version"],
        "catalogue_hash": suite["catalogue_hash"],
        "suite_hash": suite["suite_hash"],
    }
    about = {name: told[name] for name in ("seed", "duration_s", "median_calls", "idle", "only_by_search")}
    about["clean"] = [{name: one[name] for name in ("profile", "passes", "passed", "calls")} for one in told["clean"]]
    defects = [{name: row[name] for name in KEPT} for row in told["defects"]]
    text = json.dumps({"score": score, **about, "defects": defects}, ensure_ascii=False, indent=1)
    (Path(xencbt.suites.__path__[0]) / FILE).write_text(text + "\n", encoding="utf-8")
