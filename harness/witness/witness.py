"""A witness: steps, and what the last of them has to give; and in words, step by step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xencbt.harness.faults import Planned
from xencbt.harness.witness.checking import Check, Saw, difference, read_check, saw_in_words
from xencbt.harness.witness.steps import BadWitness, Step, fault_as_json, read_steps


@dataclass(frozen=True, slots=True)
class Witness:
    """The shortest list of calls and faults that shows a failure, and the check at its last step."""

    steps: tuple[Step, ...]
    check: Check

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON data, which `read_witness` reads back."""
        return {"steps": [step.as_json() for step in self.steps], "check": self.check.as_json()}

    def words(self) -> tuple[str, ...]:
        """Say each step, and what came of it, to people."""
        told = [f"{step_in_words(step)} → {saw_in_words(step.saw)}" for step in self.steps[:-1]]
        last = step_in_words(self.steps[-1])
        expected = " or ".join(self.check.words())
        return (*told, f"{last} → {saw_in_words(self.check.saw, self.check.expected[0])}; must give {expected}")


def read_witness(data: object) -> Witness:
    """Read a witness from plain data that nobody vouches for; raises BadWitness."""
    if not isinstance(data, Mapping) or not {"steps", "check"} <= set(data):
        raise BadWitness("a witness has steps and check")
    steps, check = read_steps(data["steps"]), read_check(data["check"])
    if steps[-1].saw is not None and dict(steps[-1].saw) != dict(check.saw):
        raise BadWitness("check: saw is not what the last step saw")
    return Witness(steps, check)


def step_in_words(step: Step) -> str:
    """Say one step: `snapshot disk-1 as snapshot-1`."""
    told = _TELLERS.get(step.do, _plainly)(step) + (" in the background" if step.background else "")
    return f"{told} (line: {step.line})" if step.line else told


def _plainly(step: Step) -> str:
    arguments = (str(value).lower() if isinstance(value, bool) else str(value) for value in step.given.values())
    return " ".join((step.do, *arguments)) + (f" as {step.makes}" if step.makes else "")


def _create(step: Step) -> str:
    given, raw = step.given, " raw" if step.given["raw"] else ""
    return f"create {step.makes or 'a disk'}: {given['size']} bytes of type {given['type']}{raw} on {given['sr']}"


def _write(step: Step) -> str:
    at = ", ".join(f"{length} bytes at {offset}" for offset, length, _, _ in step.given["ranges"])
    how = {"guest-write": "the guest writes", "import-image": f"import as {step.given.get('form')} image"}
    return f"{how.get(step.do, 'write')} to {step.given['disk']}: {at}"


def _read(step: Step) -> str:
    over = " over NBD" if step.do == "nbd-read" else ""
    return f"read {step.given['length']} bytes at {step.given['offset']} of {step.given['disk']}{over}"


def _arm(step: Step) -> str:
    return f"arm {'; '.join(map(_fault, step.given['faults']))}"


def _fault(planned: Planned) -> str:
    told = fault_as_json(planned)
    assert told is not None
    parameters = ", ".join(f"{name} {value}" for name, value in told["parameters"].items())
    where = f"{told['phase']} call {told['nth']} of {told['at']}"
    return f"{told['fault']} {where}{f' ({parameters})' if parameters else ''}"


_TELLERS: Mapping[str, Callable[[Step], str]] = {
    "create": _create,
    "list": lambda step: f"list changed blocks from {step.given['earlier']} to {step.given['later']}",
    "write": _write,
    "import-image": _write,
    "guest-write": _write,
    "read": _read,
    "read-image": lambda step: f"read {step.given['disk']} as vhd image",
    "nbd-open": lambda step: f"open {step.given['disk']} over NBD",
    "nbd-read": _read,
    "field": lambda step: f"read {step.given['field']} of {step.given['of']}",
    "record": lambda step: f"read the record of {step.given['of']}",
    "all-records": lambda _: "read all VDI records",
    "find": lambda step: f"find {step.given['uuid_of']} by its uuid",
    "arm": _arm,
}


@dataclass(frozen=True, slots=True)
class Drift:
    """One step that went otherwise than when the witness was made: its number from 1, in words."""

    number: int
    step: str
    was: str
    now: str

    def __str__(self) -> str:
        return f"step {self.number}: {self.step}: was {self.was}, now {self.now}"


def drifts(steps: Sequence[Step], now: Sequence[Saw | None]) -> tuple[Drift, ...]:
    """Return the steps that went otherwise than they did; those of which it was never told how say nothing."""
    found = []
    for number, (step, saw) in enumerate(zip(steps, now, strict=True), start=1):
        if step.saw is None and saw is None:
            continue
        if step.saw is not None and saw is not None:
            moved = difference(step.saw, saw)
            if moved is None:
                continue
            found.append(Drift(number, step_in_words(step), saw_in_words(step.saw, moved), saw_in_words(saw, moved)))
        elif step.saw is not None:
            found.append(Drift(number, step_in_words(step), saw_in_words(step.saw), "not reached"))
    return tuple(found)
