"""What one test found: the unit that the plugin reports, events.jsonl keeps and run.json lists."""

from dataclasses import asdict, dataclass, field
from typing import Any

from xencbt.harness.capabilities import Capability
from xencbt.harness.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a reader needs to believe and to repeat a verdict other than `pass`; masked before it gets here.

    `expected` are the allowed alternatives in words, `steps` the calls of the (minimal) failing example in order,
    `exchange` the last exchange, `rerun` the command line that runs the test again. `axis` is, of a failed test that
    made faults, what was wrong: the answer, the state that was left, or the recovery; else empty. `bitmap` is a
    `BlockMap` as JSON data, where a listing of changed blocks was wrong. `replay` is the bundle of a failure as JSON
    data (`witness.bundles`), `unreplayable` says why there is none.
    """

    expected: tuple[str, ...] = ()
    actual: str = ""
    steps: tuple[str, ...] = ()
    exchange: dict[str, Any] | None = None
    rerun: str = ""
    traceback: str = ""
    axis: str = ""
    bitmap: dict[str, Any] | None = None
    replay: dict[str, Any] | None = None
    unreplayable: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict of one test. `examples` counts the examples that reached the point, `calls` the calls made.

    `requirement` are those it decides. Of a test that failed, `violated` are those that were broken, where it could
    tell (they need not be among those it can pass); where it could not, all were. `created` counts what was made on
    the target by class, `largest_disk` is in bytes; `sizes_not_run` says which
    larger ones the test would have made and did not, and why. `issue` is the known issue that a failure is, if any.
    """

    id: str
    requirement: tuple[str, ...]
    verdict: Verdict
    reason: str = ""
    deviations: tuple[str, ...] = ()
    violated: tuple[str, ...] = ()
    examples: int = 0
    calls: int = 0
    duration_s: float = 0.0
    receipts: tuple[dict[str, Any], ...] = ()
    evidence: Evidence = field(default_factory=Evidence)
    created: dict[str, int] = field(default_factory=dict)
    largest_disk: int = 0
    needs: tuple[str, ...] = ()
    sizes_not_run: str = ""
    issue: dict[str, str] | None = None

    def verdict_of(self, requirement: str) -> Verdict:
        """Return what the test says of one requirement; a failure that names others came before it was decided."""
        undecided = self.verdict is Verdict.FAIL and self.violated and requirement not in self.violated
        return Verdict.NOT_EXERCISED if undecided else self.verdict

    def reason_of(self, requirement: str) -> str:
        """Return why the test says that of one requirement; empty for a pass."""
        if self.verdict_of(requirement) is self.verdict:
            return self.reason
        return f"the test ended at a violation of {', '.join(self.violated)}"

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON data; tuples become lists, the verdict its word."""
        return asdict(self) | {
            "requirement": list(self.requirement),
            "verdict": self.verdict.value,
            "deviations": list(self.deviations),
            "violated": list(self.violated),
            "needs": list(self.needs),
            "receipts": list(self.receipts),
            "evidence": asdict(self.evidence)
            | {"expected": list(self.evidence.expected), "steps": list(self.evidence.steps)},
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Finding":
        """Read what `as_json` wrote; raises KeyError, TypeError or ValueError on anything else."""
        evidence = data["evidence"]
        return cls(
            id=data["id"],
            requirement=tuple(data["requirement"]),
            verdict=Verdict(data["verdict"]),
            reason=data["reason"],
            deviations=tuple(data["deviations"]),
            violated=tuple(data.get("violated", ())),
            examples=data["examples"],
            calls=data["calls"],
            duration_s=data["duration_s"],
            receipts=tuple(data["receipts"]),
            evidence=Evidence(
                expected=tuple(evidence["expected"]),
                actual=evidence["actual"],
                steps=tuple(evidence["steps"]),
                exchange=evidence["exchange"],
                rerun=evidence["rerun"],
                traceback=evidence["traceback"],
                axis=evidence.get("axis", ""),
                bitmap=evidence.get("bitmap"),
                replay=evidence.get("replay"),
                unreplayable=evidence.get("unreplayable", ""),
            ),
            created=dict(data.get("created", {})),
            largest_disk=data.get("largest_disk", 0),
            needs=tuple(data.get("needs", ())),
            sizes_not_run=data.get("sizes_not_run", ""),
            issue=data.get("issue"),
        )


CAPABILITY = "capability::"
"""How the id of a finding begins that is about a required capability, and about no test."""

ISSUE = "issue::"
"""How the id of a finding begins that is the replay of a known issue, and no test's."""


def lacking(capability: Capability) -> Finding:
    """Return the failure that a capability is which the user required and the target lacks."""
    return Finding(
        f"{CAPABILITY}{capability.name}",
        (),
        Verdict.FAIL,
        f"the capability {capability.name} is required, and absent: {capability.detail}",
    )
