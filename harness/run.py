"""One run as its process sees it: where events go, what was selected, what has been found so far."""

import datetime as dt
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xencbt.harness.events import SCHEMA
from xencbt.harness.findings import CAPABILITY, ISSUE, Finding
from xencbt.harness.settings import Settings
from xencbt.harness.sinks import Shipped, Written
from xencbt.harness.verdicts import Exit, chapter_of


@dataclass(slots=True, eq=False)
class Front:
    """What `xencbt run` learns from the plugin; its presence makes pytest's exit codes ours.

    `command` is the command line as given; `usage` the reason for a usage error; `exit` is set once the run is decided.
    With `planning` nothing is run: `plan` tells as JSON data what would be, or `trouble` why the target was not seen.
    Without `shrink` what failed is told as it was found: no shorter way to it is looked for.
    """

    command: str
    exit: Exit | None = None
    usage: str | None = None
    planning: bool = False
    plan: dict[str, Any] | None = None
    trouble: str | None = None
    shrink: bool = True


class Run:
    """Tells the events of a run, in order, to `sink`, and to `watch` (the console), if anybody watches.

    `earlier` are the findings of a run that is made again; they are written, once, before those of this one.
    """

    def __init__(
        self,
        settings: Settings,
        sink: Written | Shipped,
        watch: Callable[[Mapping[str, Any]], None] | None = None,
        *,
        earlier: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.settings = settings
        self.sink = sink
        self.interrupted = False
        self.selected = 0
        self._finished: set[str] = set()
        self._watch = watch
        self._began = time.monotonic()
        self._begun = False
        self._early: list[str] = []
        self._earlier = earlier

    def emit(self, event: str, /, **fields: object) -> None:
        """Tell one event."""
        self.take({"event": event, **fields})

    def take(self, event: Mapping[str, Any]) -> None:
        """Tell one event as it stands: our own, or one that a worker shipped."""
        fields = dict(event)
        kind = fields.pop("event")
        if kind == "test_finished" and fields["id"].startswith((CAPABILITY, ISSUE)) and fields["id"] in self._finished:
            return  # every worker looks at the target, and finds the same
        if not self.sink.emit(kind, **fields):
            return
        if kind == "run_started":  # told here, or by the first worker
            self._begun = True
            while self._early:
                self.problem(self._early.pop(0))
        elif kind == "selected":
            self.selected = fields["tests"]
            self._tell_earlier()
        elif kind == "test_finished":
            self._finished.add(fields["id"])
        if self._watch is not None:
            self._watch(event)

    def _tell_earlier(self) -> None:
        if isinstance(self.sink, Written):  # a worker's events come here
            for finding in self._earlier:
                fields = dict(finding)
                self.sink.emit(fields.pop("event"), **fields)

    def begin(
        self,
        *,
        suite: Mapping[str, Any],
        command: str,
        filtered: bool,
        rerun_of: Mapping[str, Any] | None = None,
    ) -> None:
        """Tell that the run starts, with everything that decides what it will do.

        `rerun_of` tells which run it makes again, if any.
        """
        settings = self.settings
        self.emit(
            "run_started",
            schema=SCHEMA,
            time=_now(),
            seed=settings.seed,
            speed=settings.speed,
            profile=settings.profile,
            strict=settings.strict,
            suite=dict(suite),
            command=command,
            rerun_of=rerun_of,
            selection={
                "suites": list(settings.suites),
                "requirements": list(settings.requirements),
                "filtered": filtered,
            },
        )

    def select(self, requirements: Collection[str], planned: Mapping[str, Collection[str]]) -> None:
        """Tell which requirements the run decides, and by which tests: test id to the requirements it decides."""
        self.emit(
            "selected",
            requirements=sorted(requirements),
            chapters=sorted({chapter_of(requirement) for requirement in requirements}),
            tests=len(planned),
            planned=[{"id": test, "requirement": list(decided)} for test, decided in planned.items()],
        )

    def found(self, finding: Finding) -> None:
        """Tell one test's finding."""
        self.emit("test_finished", **finding.as_json())

    def problem(self, reason: str) -> None:
        """Tell that the harness or the lab broke outside any test: the run ends with exit code 4.

        What went wrong before the run began is told right after its beginning, with which every record starts.
        """
        if self._begun:
            self.emit("problem", verdict="error", reason=reason)
        else:
            self._early.append(reason)

    def end(self) -> None:
        """Tell that the run ends; it is complete when every selected test has its finding."""
        complete = not self.interrupted and len(self._finished) == self.selected
        self.emit(
            "run_finished",
            complete=complete,
            interrupted=self.interrupted,
            duration_s=round(time.monotonic() - self._began, 3),
            time=_now(),
        )


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
