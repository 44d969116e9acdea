"""A comparison as a page."""

from xencbt.reports.changes import Change
from xencbt.reports.compare_text import counts, sentence
from xencbt.reports.comparison import Comparison
from xencbt.reports.pages.page import page
from xencbt.reports.words import label, target_name


def render(comparison: Comparison, old: str, new: str) -> bytes:
    """Return the page, in UTF-8; `old` and `new` are the names under which the runs were given."""
    return page(
        "comparison",
        comparison=comparison,
        kinds=[kind for kind in Change if kind is not Change.SAME],
        sentence=sentence(comparison),
        counts=f"exit {comparison.exit}" if comparison.obstacles else counts(comparison),
        colour={0: "pass", 1: "fail"}.get(comparison.exit, "blocked"),
        old_name=old,
        new_name=new,
        label=label,
        target_name=target_name,
    )
