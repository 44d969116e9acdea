"""The shape of run.json, from which every report is made; `docs/run.schema.json` says the same to other programs."""

from typing import Any, NotRequired, TypedDict

SCHEMA = "xencbt.run/1"


class KillScoreRow(TypedDict):
    """How the suites fared against the defects of the emulated host: of those that must die by design, how many did.

    `date` is when that was measured, `version` and the hashes tell of which suites.
    """

    killed: int
    of: int
    survivors: list[str]
    date: str
    version: str
    catalogue_hash: str
    suite_hash: str


class SuiteRow(TypedDict):
    """What judged: the version of the suites and the hashes of the catalogue, of the package's files, and of the tests.

    `modified` tells whether the files were not as installed, and `changed` what of them; None, and an empty
    `files_hash`, where the run did not say. `kill_score` is what was measured last, maybe of other tests than these;
    None where nothing was.
    """

    version: str
    catalogue_hash: str
    files_hash: NotRequired[str]
    modified: NotRequired[bool | None]
    changed: NotRequired[list[str]]
    suite_hash: NotRequired[str]
    kill_score: NotRequired[KillScoreRow | None]


class SelectionRow(TypedDict):
    """What the user named; `filtered` when anything was, so that only a part of the guide was judged."""

    suites: list[str]
    requirements: list[str]
    filtered: bool


class CapabilityRow(TypedDict):
    """What the target says or shows it can do, with what probing saw."""

    name: str
    present: bool
    detail: str


class TargetRow(TypedDict):
    """What was judged. `kind` is `emulator` or `host`; `url` carries no user, password or query.

    `driver` is the type of the SR that it was judged on, empty where the run did not say.

    `tls` says how its certificate was verified: `verified by CA file`, `verified by system CAs`, `pinned`,
    `not verified`, or `none (http)`.
    """

    kind: str
    product: str
    version: str
    build: str
    api_version: str
    url: str
    tls: str
    profile: str
    driver: NotRequired[str]
    defects: list[str]
    capabilities: list[CapabilityRow]


class SourceRow(TypedDict):
    """Where a requirement comes from; `url` is empty where there is no page."""

    page: str
    section: str
    url: str


class RequirementRow(TypedDict):
    """One requirement: the worst verdict of its tests, and all their counts.

    `reason` is empty only for `pass`. `deviation` names the accepted deviations a pass (or another verdict) needed, as
    in `D-01, D-02`, and is None where there was none. `sizes_not_run`: which disk sizes its tests
    left out, and why; None where none. `deciding` tells whether the level counts for the exit code.
    `flaky`: attempts at one of its tests disagree, a pass among them; the verdict is that of the worst attempt.
    """

    id: str
    level: str
    deciding: bool
    chapter: str
    chapter_title: str
    statement: str
    source: SourceRow
    verdict: str
    reason: str
    deviation: str | None
    sizes_not_run: NotRequired[str | None]
    counts: dict[str, int]
    tests: list[str]
    flaky: NotRequired[bool]


BitmapRow = TypedDict(
    "BitmapRow",
    {
        "from": str,
        "to": str,
        "block_size": int,
        "blocks": int,
        "expected": list[list[int]],
        "reported": list[list[int]],
        "missing": list[list[int]],
        "extra": list[list[int]],
        "cut": bool,
    },
)
"""A listing of changed blocks beside what it had to be: runs `[first, last]` of blocks; `cut` where some are left out.

`from` and `to` name the disks as the steps do. `missing` had to be marked and were not, `extra` the other way round.
"""


class ReplayRow(TypedDict):
    """What shows a failure again: the bundle's path beside run.json, its steps in words, and the same as scripts.

    A script is empty where the steps take what only an emulated host has.
    """

    bundle: str
    steps: list[str]
    python: str
    xe: str


class EvidenceRow(TypedDict):
    """What a reader needs to believe and to repeat a verdict; `bitmap` where a listing of changed blocks was wrong."""

    expected: list[str]
    actual: str
    steps: list[str]
    exchange: dict[str, Any] | None
    rerun: str
    traceback: str
    axis: NotRequired[str]
    bitmap: NotRequired[BitmapRow | None]
    replay: NotRequired[ReplayRow | None]
    unreplayable: NotRequired[str]


class AttemptRow(TypedDict):
    """One of several attempts at a test."""

    verdict: str
    reason: str
    examples: int
    calls: int
    duration_s: float


class IssueRow(TypedDict):
    """The known issue that a failure is; `expires` is the last day on which the ledger says so."""

    id: str
    link: str
    owner: str
    expires: str


class IgnoredIssueRow(TypedDict):
    """An entry of the ledger that says nothing of this run, and why."""

    id: str
    reason: str


class KnownIssuesRow(TypedDict):
    """The entries of the ledger: those that were judged (each is a test `issue::ID`), and those that were ignored.

    The `expired` ones are judged without a replay.
    """

    judged: list[str]
    expired: NotRequired[list[str]]
    ignored: list[IgnoredIssueRow]


class FindingRow(TypedDict):
    """One test. `examples` and `calls` count what it tried and how often it called the target.

    Of a test that was run again everything is told of the worst attempt; `attempts` are all of them in order, and empty
    where there was but one. `flaky`: one passed, another did not. `needs` are the capabilities and consents without
    which the test says nothing of the target.
    """

    id: str
    requirement: list[str]
    verdict: str
    reason: str
    deviations: list[str]
    violated: NotRequired[list[str]]
    examples: int
    calls: int
    duration_s: float
    receipts: list[dict[str, Any]]
    evidence: EvidenceRow
    created: dict[str, int]
    issue: NotRequired[IssueRow | None]
    largest_disk: int
    needs: NotRequired[list[str]]
    sizes_not_run: NotRequired[str]
    attempts: NotRequired[list[AttemptRow]]
    flaky: NotRequired[bool]


class JournalRow(TypedDict):
    """What the run created on the target, removed again, and could not remove."""

    created: int
    removed: int
    left: list[Any]
    troubles: list[str]
    clean: NotRequired[list[str]]


class RerunRow(TypedDict):
    """The run of which this one ran the failed tests again, whose findings it holds as well."""

    started: str
    exit: int


class ProblemRow(TypedDict):
    """What broke outside any test."""

    verdict: str
    reason: str


class Run(TypedDict):
    """A judged run.

    `complete` is false for a run that was interrupted or ended early; `duration_s` is None where its end is not known,
    `target` None where none was reached, `journal` None where a run that ended early left no word of it. `counts` are
    the verdicts of the requirements, `chapters` the ones that the selection touched. `rerun_of` is None where every
    test ran for the first time.
    """

    schema: str
    complete: bool
    interrupted: bool
    exit: int
    started: str
    duration_s: float | None
    seed: int
    speed: str
    profile: str
    strict: bool
    command: str
    rerun_of: NotRequired[RerunRow | None]
    suite: SuiteRow
    selection: SelectionRow
    target: TargetRow | None
    chapters: list[str]
    counts: dict[str, int]
    requirements: list[RequirementRow]
    tests: list[FindingRow]
    problems: list[ProblemRow]
    journal: JournalRow | None
    known_issues: NotRequired[KnownIssuesRow | None]
