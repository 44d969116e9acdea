"""A trend for people at a terminal: a line a run, a strip for each requirement that is not steady."""

from xencbt.harness.verdicts import Verdict
from xencbt.reports.html.page import SYMBOLS
from xencbt.reports.layout import Paint, hanging
from xencbt.reports.plain import one_line
from xencbt.reports.run_json import Run
from xencbt.reports.trend import Mark, Strip, Trend
from xencbt.reports.words import duration, target_name

UNSELECTED = " "
_PLAIN = Paint()


def text(trend: Trend, paint: Paint = _PLAIN) -> str:
    """Return the whole text."""
    runs = [_run(number, name, run) for number, (name, run) in enumerate(zip(trend.names, trend.runs, strict=True), 1)]
    unsteady = [strip for strip in trend.strips if not strip.steady]
    pad = max((len(strip.id) for strip in unsteady), default=0)
    strips = [_strip(strip, pad, paint) for strip in unsteady]
    steady = len(trend.strips) - len(unsteady)
    used = {mark.verdict for strip in unsteady for mark in strip.marks if mark}
    legend = "  ".join(f"{symbol} {verdict}" for verdict, symbol in SYMBOLS.items() if verdict in used)
    ending = [
        f"{steady} of {len(trend.strips)} requirements passed in every run that selected them",
        f"flake rate {percent(trend.flake_rate)}",
    ]
    return "\n\n".join(filter(None, ["\n".join(runs), "\n".join(strips), legend, " · ".join(ending)]))


def percent(share: float) -> str:
    """Return a share in per cent, with a digit where it is small: `0.4 %`, `25 %`."""
    return f"{share:.1%}".replace("%", " %") if 0 < share < 0.1 else f"{share:.0%}".replace("%", " %")


def kill_score(run: Run) -> str:
    """Return how many planted defects the suite noticed: `70 of 73`, `not measured` where nobody did."""
    score = run["suite"].get("kill_score")
    return "not measured" if not score else f"{score['killed']} of {score['of']}"


def _run(number: int, name: str, run: Run) -> str:
    took = "" if run["duration_s"] is None else f", {duration(run['duration_s'])}"
    ended = "" if run["complete"] else ", not complete"
    said = f"{run['started']}  {one_line(name)}: {target_name(run['target'])}, exit {run['exit']}{ended}{took}"
    return hanging(f"{number:>3}", said)


def _strip(strip: Strip, pad: int, paint: Paint) -> str:
    marks = "".join(_symbol(mark, paint) for mark in strip.marks)
    rate = f"  flake rate {percent(strip.flake_rate)}" if strip.flips else ""
    return f"{strip.id:<{pad}}  {marks}{rate}"


def _symbol(mark: Mark | None, paint: Paint) -> str:
    return UNSELECTED if mark is None else paint(Verdict(mark.verdict).value, SYMBOLS[mark.verdict])
