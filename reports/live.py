"""What a person sees while a run goes on: what the target can do, a line for each test, and how far the run is."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from xencbt.harness.verdicts import Verdict
from xencbt.reports.layout import WIDTH, Paint, hanging
from xencbt.reports.plain import one_line
from xencbt.reports.progress import Progress
from xencbt.reports.tables import capability_table, target_head
from xencbt.reports.terminal import Terminal
from xencbt.reports.words import duration

if TYPE_CHECKING:
    from xencbt.reports.run_json import TargetRow

_PLAIN = Paint()


class Live:
    """Takes the events of a run and tells them to `out`, a line at a time.

    How far the run is stands in one line that is rewritten, where `out` can do that; else it is told each time another
    tenth of the work is done. `quiet` leaves out what goes well: the table of what the target can do, tests that pass,
    and, but for the rewritten line, how far the run is.
    """

    def __init__(
        self,
        out: Terminal,
        paint: Paint = _PLAIN,
        needs: Mapping[str, Sequence[str]] | None = None,
        *,
        quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out = out
        self._write = out.line
        self._paint = paint
        self._needs = needs or {}
        self._quiet = quiet
        self._progress = Progress(clock)
        self._tenths = 0

    def show(self, event: Mapping[str, Any]) -> None:
        """Show one event, if there is something in it for a person."""
        self._progress.take(event)
        match event["event"]:
            case "run_started":
                self._write(f"seed     {event['seed']}, {event['speed']} search")
            case "target":
                target = cast("TargetRow", event)
                if self._quiet:
                    self._write(target_head(target, self._paint))
                else:
                    self._write(capability_table(target, self._needs, self._paint))
                if event.get("warning"):
                    self._write(hanging("warning", event["warning"]))
                self._write("")
            case "test_finished":
                if not self._quiet or event["verdict"] != Verdict.PASS.value:
                    self._write(self._test_line(event))
                self._tell_progress()
            case "run_finished":
                self._out.status("")
                self._write("")

    def refresh(self) -> None:
        """Rewrite how far the run is; to be called where nobody captures what is written, as while a test begins."""
        if self._out.live:
            now = self._progress.now
            self._out.status(f"{self._progress.words()}{f' · {_short(now)}' if now else ''}")

    def _tell_progress(self) -> None:
        self.refresh()
        tenths = int(10 * self._progress.share)
        if tenths > self._tenths and self._progress.share < 1 and not (self._quiet or self._out.live):
            self._write(f"progress {self._progress.words()}")
        self._tenths = max(tenths, self._tenths)

    def _test_line(self, event: Mapping[str, Any]) -> str:
        tests = self._progress.tests
        place = f"{self._progress.ended:>{len(str(tests))}}/{tests}"
        verdict = event["verdict"]
        decided = ",".join(event["requirement"])
        head = f"{place}  {verdict:<13}  {decided:<11}  "
        tail = f"  {duration(event['duration_s'])}"
        name = _short(event["id"])
        room = WIDTH - len(head) - len(tail)
        shown = name if len(name) <= room else f"{name[: max(room - 1, 0)]}…"
        return head.replace(verdict, self._paint(verdict, verdict), 1) + shown + tail


def _short(test: str) -> str:
    return one_line(test.partition("::")[2]).removeprefix("test_")
