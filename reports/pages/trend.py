"""A trend as a page."""

from xencbt.reports.pages.page import page
from xencbt.reports.trend import Trend
from xencbt.reports.trend_text import kill_score, percent
from xencbt.reports.words import target_name

CHART_HEIGHT = 120
BAR, GAP = 18, 4


def render(trend: Trend) -> bytes:
    """Return the page, in UTF-8."""
    return page(
        "trend",
        trend=trend,
        bars=_bars(trend),
        chart_width=max(1, len(trend.runs)) * (BAR + GAP),
        chart_height=CHART_HEIGHT,
        percent=percent,
        kill_score=kill_score,
        target_name=target_name,
    )


def _bars(trend: Trend) -> list[dict[str, object]]:
    """Return a bar for each run: how long it took, against the longest."""
    took = [run["duration_s"] or 0.0 for run in trend.runs]
    longest = max(took, default=0.0) or 1.0
    return [
        {
            "x": number * (BAR + GAP),
            "y": CHART_HEIGHT - round(CHART_HEIGHT * seconds / longest),
            "width": BAR,
            "height": round(CHART_HEIGHT * seconds / longest),
            "seconds": seconds,
            "verdict": {0: "pass", 1: "fail", 2: "blocked"}.get(run["exit"], "error"),
        }
        for number, (run, seconds) in enumerate(zip(trend.runs, took, strict=True))
    ]
