"""What became of each requirement since an older run, as the page of a run shows it."""

from typing import Any

from xencbt.reports.changes import Change
from xencbt.reports.comparison import compare
from xencbt.reports.run_json import Run


def compared_with(run: Run, older: tuple[str, Run] | None) -> dict[str, Any] | None:
    """Return what `run` has become since `older` (its name, and what it said); None where there is none.

    `rows` holds a word by id for every requirement that moved or is still broken; `why_not` says why the runs cannot
    be compared, and is empty where they can.
    """
    if older is None:
        return None
    name, old = older
    comparison = compare(old, run)
    return {
        "with": f"{name} of {old['started']}",
        "rows": {one.id: one.change.value for one in comparison.changes if one.change is not Change.SAME},
        "why_not": "; ".join(comparison.obstacles),
    }
