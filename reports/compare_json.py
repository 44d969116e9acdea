"""A comparison for programs: `xencbt.comparison/1`, which docs/comparison.schema.json describes."""

import json
from typing import Any

from xencbt.reports.changes import Change, RowChange
from xencbt.reports.compare_text import sentence
from xencbt.reports.comparison import Comparison
from xencbt.reports.run_json import Run, TargetRow

COMPARISON_SCHEMA = "xencbt.comparison/1"


def as_json(comparison: Comparison, old: str, new: str) -> bytes:
    """Return the file; `old` and `new` are the names under which the runs were given."""
    document = {
        "schema": COMPARISON_SCHEMA,
        "comparable": not comparison.obstacles,
        "obstacles": list(comparison.obstacles),
        "exit": comparison.exit,
        "verdict": sentence(comparison),
        "old": _run(comparison.old, old),
        "new": _run(comparison.new, new),
        "notes": list(comparison.notes),
        "counts": {kind.value: len(comparison.of(kind)) for kind in Change if comparison.of(kind)},
        "changes": [_change(change) for change in comparison.changes],
        "capabilities": {"gained": list(comparison.gained), "lost": list(comparison.lost)},
        "requirements": {
            "added": [row["id"] for row in comparison.added],
            "removed": [row["id"] for row in comparison.removed],
            "renamed": [{"old": was, "new": now} for was, now in comparison.renamed],
            "only_old": list(comparison.only_old),
            "only_new": list(comparison.only_new),
        },
        "slower": [{"id": one.id, "was_s": one.was_s, "now_s": one.now_s} for one in comparison.slower],
    }
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode("utf-8", "backslashreplace")


def _run(run: Run, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "started": run["started"],
        "seed": run["seed"],
        "speed": run["speed"],
        "profile": run["profile"],
        "exit": run["exit"],
        "complete": run["complete"],
        "suite": run["suite"],
        "target": _target(run["target"]),
    }


def _target(target: TargetRow | None) -> dict[str, Any] | None:
    """Return what tells one build from another; what it can do is told by what was gained and lost."""
    if target is None:
        return None
    return {key: value for key, value in target.items() if key not in {"capabilities", "url", "tls"}}


def _change(change: RowChange) -> dict[str, Any]:
    return {
        "id": change.id,
        "was_id": change.was["id"],
        "level": change.new["level"],
        "deciding": change.deciding,
        "change": change.change.value,
        "was": change.was["verdict"],
        "now": change.new["verdict"],
        "flaky": bool(change.new.get("flaky")),
        "was_reason": change.was["reason"],
        "reason": change.new["reason"],
        "fingerprints": list(change.fingerprints),
        "rerun": change.rerun,
    }
