"""What the events of a run tell, gathered into values; nothing is judged here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from xencbt.harness.events import SCHEMA, UnreadableEvents
from xencbt.harness.findings import Finding

Event = Mapping[str, Any]


@dataclass(slots=True)
class Told:
    """The events by kind; `planned` and `begun` hold tests with the requirements each decides.

    `found` holds every finding of a test in order: those of the run that is made again (`attempted`) come first.
    """

    started: Event
    target: Event | None = None
    selected: Event | None = None
    finished: Event | None = None
    planned: dict[str, tuple[str, ...]] = field(default_factory=dict)
    begun: dict[str, tuple[str, ...]] = field(default_factory=dict)
    found: dict[str, list[Finding]] = field(default_factory=dict)
    journals: list[Event] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    known_issues: Event | None = None

    @property
    def interrupted(self) -> bool:
        """Whether the user stopped the run."""
        return self.finished is not None and bool(self.finished["interrupted"])

    @property
    def complete(self) -> bool:
        """Whether the run came to its own end."""
        return self.finished is not None and bool(self.finished["complete"]) and not self.interrupted


def gather(events: Iterable[Event]) -> Told:
    """Gather `events`; raises UnreadableEvents where they are not a run's, or of another version.

    Unknown kinds of events are left out, so that a newer run can tell more.
    """
    told: Told | None = None
    for event in events:
        kind = event.get("event")
        try:
            if kind == "run_started":
                told = told or _begin(event)
            elif told is None:
                raise UnreadableEvents(f"the events begin with {kind!r}, not with run_started")
            else:
                _take(told, str(kind), event)
        except (KeyError, TypeError, ValueError) as error:
            raise UnreadableEvents(f"event {kind!r} is damaged: {type(error).__name__}: {error}") from error
    if told is None:
        raise UnreadableEvents("there is no run_started: nothing is known of the run")
    return told


def _begin(event: Event) -> Told:
    if event["schema"] != SCHEMA:
        raise UnreadableEvents(f"events of schema {event['schema']!r}; this version reads {SCHEMA!r}")
    return Told(event)


def _take(told: Told, kind: str, event: Event) -> None:
    match kind:
        case "target":
            told.target = told.target or event
        case "selected":
            told.selected = told.selected or event
            told.planned |= {test["id"]: tuple(test["requirement"]) for test in event.get("planned", ())}
        case "test_started":
            told.begun[event["id"]] = tuple(event["requirement"])
        case "attempted" | "test_finished":
            finding = Finding.from_json(dict(event))
            told.found.setdefault(finding.id, []).append(finding)
            if kind == "test_finished":
                told.begun.pop(finding.id, None)
        case "journal":
            told.journals.append(event)
        case "known_issues":
            told.known_issues = told.known_issues or event
        case "problem":
            told.problems.append(str(event["reason"]))
        case "run_finished":
            told.finished = event
