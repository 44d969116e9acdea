"""The shape of lab.json, the summary of several runs; `docs/lab.schema.json` says the same to other programs."""

from typing import TypedDict

LAB_SCHEMA = "xencbt.lab/1"


class LabTargetRow(TypedDict):
    """One target of the lab, and what its run came to.

    `exit` is that of its run (3: it was refused), None where it never began or has not ended. `counts` are those of its
    run.json and empty without one; `run` is the path of its run.json from the folder of lab.json, None without one.
    `reason` is empty unless the run did not come to an end of its own.
    """

    name: str
    url: str
    srs: list[str]
    workers: int
    exit: int | None
    complete: bool
    verdict: str
    reason: str
    product: str
    counts: dict[str, int]
    duration_s: float | None
    run: str | None


class LabRequirementRow(TypedDict):
    """One requirement across the lab: its verdict by target name, for the targets whose run selected it."""

    id: str
    verdicts: dict[str, str]


class LabSummary(TypedDict):
    """Several runs side by side. While the lab lives, `complete` is false and `exit` None."""

    schema: str
    complete: bool
    interrupted: bool
    exit: int | None
    started: str
    duration_s: float | None
    command: str
    at_once: int
    targets: list[LabTargetRow]
    requirements: list[LabRequirementRow]
