"""summary.md: the run in a few lines of Markdown, for the summary of a CI step."""

import re
from collections.abc import Iterable, Iterator

from xencbt.reports.failures import SHOWN
from xencbt.reports.plain import one_line
from xencbt.reports.run_json import RequirementRow, Run
from xencbt.reports.words import label, last_line, target_name, verdict_sentence

MOST_ROWS = 50
"""Requirements that are listed; a CI step takes no long text."""

REASON_SHOWN = 300
"""Characters of a reason that stand in the table."""

_SYMBOLS = {0: "✅", 1: "❌", 2: "⚠️"}
_SPECIAL = re.compile(r"([\\`*_\[\]#|<>&~@$]|:(?=//)|(?<=www)\.)", re.IGNORECASE)


def render(run: Run) -> bytes:
    """Return summary.md for `run`, in UTF-8; nothing that a target said is taken for Markdown or HTML there."""
    return ("\n".join(_lines(run)) + "\n").encode("utf-8", "backslashreplace")


def _lines(run: Run) -> Iterator[str]:
    yield f"## {_SYMBOLS.get(run['exit'], '💥')} {literal(verdict_sentence(run))}"
    yield ""
    yield literal(last_line(run))
    yield ""
    yield from _table(row for row in run["requirements"] if row["verdict"] in SHOWN)
    yield from _open(run)
    for problem in run["problems"]:
        yield f"- problem: {_cut(problem['reason'])}"
    if run["journal"] and run["journal"]["left"]:
        yield f"- {len(run['journal']['left'])} objects were left on the target"
    suite = f"xencbt {run['suite']['version']}, catalogue {run['suite']['catalogue_hash'][:12]}"
    about = f"{target_name(run['target'])} · profile {run['profile']} · seed {run['seed']} · {suite}"
    yield f"- {literal(about)}"


def _table(rows: Iterable[RequirementRow]) -> Iterator[str]:
    listed = list(rows)
    if not listed:
        return
    yield "| requirement | verdict | what the documentation says | what came |"
    yield "|---|---|---|---|"
    for row in listed[:MOST_ROWS]:
        yield f"| {row['id']} | {label(row)} | {_statement(row)} | {_cut(row['reason'])} |"
    yield ""
    if len(listed) > MOST_ROWS:
        yield f"and {len(listed) - MOST_ROWS} more: see report.html"
        yield ""


def _open(run: Run) -> Iterator[str]:
    for verdict in ("known", "blocked", "not exercised", "not run"):
        ids = [row["id"] for row in run["requirements"] if row["verdict"] == verdict]
        if ids:
            more = f" and {len(ids) - MOST_ROWS} more" if len(ids) > MOST_ROWS else ""
            yield f"- {verdict}: {literal(', '.join(ids[:MOST_ROWS]))}{more}"


def _statement(row: RequirementRow) -> str:
    shown, url = literal(row["statement"]), row["source"]["url"]
    return f"[{shown}]({url})" if re.fullmatch(r"https://[\w./%-]+", url) else shown


def _cut(reason: str) -> str:
    shown = one_line(reason)
    return literal(shown if len(shown) <= REASON_SHOWN else f"{shown[:REASON_SHOWN]}…")


def literal(text: str) -> str:
    r"""Return `text` on one line so that Markdown shows every character of it as it is: `a\|b`."""
    return _SPECIAL.sub(r"\\\1", one_line(text))
