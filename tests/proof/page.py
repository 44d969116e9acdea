"""Puts the recorded proof into docs/proof.md: `python -m tests.proof.page`, after `xencbt prove --record`."""

import sys
from pathlib import Path
from typing import Any

from xencbt.reports.proof_text import matrix
from xencbt.suites.kill_score import recorded

PAGE = Path(__file__).parents[2] / "docs" / "proof.md"
BEGIN, END = "<!-- recorded: begin -->", "<!-- recorded: end -->"


LEGEND = """Numbers are those of the requirements that failed in the run that killed the defect: the declared one in
bold, or in parentheses where it did not fail."""


def part(told: dict[str, Any]) -> str:
    """Return what the page says of a record."""
    score, rows = told["score"], told["defects"]
    killed = sorted(row["calls"] for row in rows if row["failed"])
    should = [row for row in rows if row["level"] != "must"]
    missed = [f"`{row['name']}` ({row['fate']})" for row in should if row["fate"] != "killed by design"]
    survivors = ", ".join(f"`{name}`" for name in score["survivors"]) or "none"
    searched = ", ".join(f"`{row['name']}`" for row in rows if row["by_search"]) or "none"
    median = killed[len(killed) // 2] if killed else 0
    facts = [
        f"**{score['killed']} of {score['of']}** defects of level `must` killed by design; survivors: {survivors}",
        f"of {len(should)} of level `should`, not killed by design: {', '.join(missed) or 'none'}",
        f"calls up to a kill: {median} in the median, {max(killed, default=0)} at most",
        f"killed by no example, only by search: {searched}",
        f"the clean host: {'; '.join(map(_clean, told['clean']))}",
    ]
    when = f"Recorded {score['date']} at seed {told['seed']}, suite hash `{score['suite_hash'][:12]}`:"
    return "\n".join([when, "", *(f"* {fact}" for fact in facts), "", LEGEND, "", matrix(rows)])


def _clean(one: dict[str, Any]) -> str:
    passes = "passes" if one["passes"] else "does not pass"
    return f"`{one['profile']}` {passes} ({one['passed']} requirements, {one['calls']} calls)"


def with_part(page: str, told: dict[str, Any]) -> str:
    """Return the page with what is recorded between its marks; raises ValueError where it has none."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError("the page has no place for what is recorded")
    return f"{head}{BEGIN}\n\n{part(told)}\n\n{END}{tail}"


def main() -> int:
    """Write the page."""
    told = recorded()
    if told is None:
        print("nothing is recorded: xencbt prove --record", file=sys.stderr)
        return 1
    PAGE.write_text(with_part(PAGE.read_text(encoding="utf-8"), told), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
