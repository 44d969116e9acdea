"""One test as the page shows it: where its evidence stands, and what of it there is to draw."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from xencbt.reports.failures import SHOWN
from xencbt.reports.html.again import replay_command
from xencbt.reports.html.blocks import Drawing, drawing
from xencbt.reports.html.timeline import Timeline, timeline
from xencbt.reports.run_json import FindingRow, Run


@dataclass(frozen=True, slots=True)
class Case:
    """A test with what colleagues of the report may have added to it.

    `home` is the requirement at which its evidence stands, empty where it speaks of none that was selected; `shown`
    tells that it failed or broke, so that it stands among what is broken. `replay` holds the steps for other clients.
    """

    test: FindingRow
    anchor: str
    name: str
    home: str
    shown: bool
    replay: Mapping[str, Any] | None
    issue: str
    attempts: tuple[Mapping[str, Any], ...]

    @property
    def replay_command(self) -> str:
        """The command line that shows the failure again by its bundle, in the folder of the page; empty without one."""
        bundle = (self.replay or {}).get("bundle")
        return replay_command(self.test["evidence"]["rerun"], bundle) if bundle else ""

    @property
    def drawing(self) -> Drawing | None:
        """The map of the listing that was wrong, if it was one."""
        bitmap = self.test["evidence"].get("bitmap")
        return None if bitmap is None else drawing(bitmap)

    @property
    def timeline(self) -> Timeline | None:
        """The faults on a line of time, where there were any."""
        return timeline(self.test["receipts"])

    @property
    def has_evidence(self) -> bool:
        """Whether there is more to show than the line of the test."""
        evidence = self.test["evidence"]
        return bool(
            self.test["receipts"] or evidence["expected"] or evidence["actual"] or evidence["steps"] or self.attempts
        )


def cases(run: Run) -> dict[str, Case]:
    """Return the tests of `run` by id, in its order."""
    selected = {row["id"]: row["verdict"] for row in run["requirements"]}
    return {test["id"]: _case(test, number, selected) for number, test in enumerate(run["tests"], start=1)}


def _case(test: FindingRow, number: int, selected: Mapping[str, str]) -> Case:
    more = cast("Mapping[str, Any]", test)
    own = [name for name in (*test.get("violated", ()), *test["requirement"]) if name in selected]
    shown = test["verdict"] in SHOWN
    broken = [name for name in own if selected[name] in SHOWN] if shown else []
    issue = more.get("issue") or ""
    return Case(
        test=test,
        anchor=f"t-{number}",
        name=test["id"].partition("::")[2].removeprefix("test_") or test["id"],
        home=next(iter(broken or own), ""),
        shown=shown,
        replay=cast("Mapping[str, Any]", test["evidence"]).get("replay"),
        issue=issue if isinstance(issue, str) else str(issue.get("id", "") if isinstance(issue, dict) else issue),
        attempts=tuple(more.get("attempts") or ()),
    )
