"""What a person sees while a run goes on: what the target can do, then a line for each test as it ends."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from xencbt.harness.verdicts import Verdict
from xencbt.reports.layout import WIDTH, Paint, hanging
from xencbt.reports.plain import one_line
from xencbt.reports.tables import capability_table, target_head
from xencbt.reports.words import duration

if TYPE_CHECKING:
    from xencbt.reports.run_json import TargetRow

_PLAIN = Paint()


class Live:
    """Takes the events of a run and tells them through `write`, a line at a time.

    `quiet` leaves out what goes well: the table of what the target can do, and tests that pass.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        paint: Paint = _PLAIN,
        needs: Mapping[str, Sequence[str]] | None = None,
        *,
        quiet: bool = False,
    ) -> None:
        self._write = write
        self._paint = paint
        self._needs = needs or {}
        self._quiet = quiet
        self._tests = 0
        self._ended = 0

    def show(self, event: Mapping[str, Any]) -> None:
        """Show one event, if there is something in it for a person."""
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
            case "selected":
                self._tests = event["tests"]
            case "test_finished":
                self._ended += 1
                if not self._quiet or event["verdict"] != Verdict.PASS.value:
                    self._write(self._test_line(event))
            case "run_finished":
                self._write("")

    def _test_line(self, event: Mapping[str, Any]) -> str:
        place = f"{self._ended:>{len(str(self._tests))}}/{self._tests}"
        verdict = event["verdict"]
        decided = ",".join(event["requirement"])
        head = f"{place}  {verdict:<13}  {decided:<11}  "
        tail = f"  {duration(event['duration_s'])}"
        name = one_line(event["id"].partition("::")[2]).removeprefix("test_")
        room = WIDTH - len(head) - len(tail)
        shown = name if len(name) <= room else f"{name[: max(room - 1, 0)]}…"
        return head.replace(verdict, self._paint(verdict, verdict), 1) + shown + tail
