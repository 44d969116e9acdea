"""What a process judges with, from the first judged test to the last: target, bench and, once needed, interceptor."""

import shlex
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import hypothesis

from xencbt.fixtures.bench import Bench
from xencbt.fixtures.lab import Lab
from xencbt.fixtures.latency import measured_latency
from xencbt.fixtures.targets import declared_defects
from xencbt.harness import searching
from xencbt.harness.again import run_again
from xencbt.harness.bundling import Bundler
from xencbt.harness.capabilities import MAIN, Capability
from xencbt.harness.claim import claims_folder
from xencbt.harness.errors import HarnessError
from xencbt.harness.exchange import Recorder
from xencbt.harness.faults import canonical
from xencbt.harness.findings import Finding
from xencbt.harness.fingerprint import fingerprint
from xencbt.harness.identity import suite_identity
from xencbt.harness.knowing import KnownIssues
from xencbt.harness.ledger import Issue
from xencbt.harness.masking import Secrets
from xencbt.harness.needs import Needs
from xencbt.harness.opening import LEASED, opening
from xencbt.harness.planning import Plan, PlannedTest, make_plan
from xencbt.harness.probing import listed_methods
from xencbt.harness.selection import check_names
from xencbt.harness.settings import Settings
from xencbt.harness.spending import Budget
from xencbt.harness.standing import Stand, reference
from xencbt.harness.turns import Turns, reaches_beyond
from xencbt.harness.verdicts import NotRun
from xencbt.harness.witness.bundles import Bundle, Subject
from xencbt.harness.witness.checking import Alternative
from xencbt.harness.witness.concluding import conclude
from xencbt.harness.witness.deriving import Inexpressible
from xencbt.harness.witness.python_script import python_script
from xencbt.harness.witness.xe_script import xe_script
from xencbt.proxies.interceptor import Interceptor
from xencbt.suites.costs import costs

DEFAULT_BUDGET_S = 1800.0


class Judge:
    """Opens the target lazily and closes everything in reverse; one per process."""

    def __init__(self, settings: Settings, *, leasing: bool = False, shrink: bool = True) -> None:
        """Judge as `settings` say; with `leasing`, on the first of their SRs that is free, beside other workers.

        With `shrink`, shorter ways to a failure are looked for, on an emulated host.
        """
        self.settings = settings
        self._shrink = shrink
        self._leasing = leasing and not settings.emulated_here
        self._turns: Turns | None = None
        self.leased_kinds: frozenset[str] = frozenset()
        self.known_issues = KnownIssues()
        self.recorder = Recorder(Secrets())
        self._open = ExitStack()
        self._bench: Bench | None = None
        self.plan: Plan | None = None

    def open(self, *, planning: Path | None = None) -> None:
        """Start or dial the target, log in and probe.

        Where a plan is all that is wanted, `planning` is the folder for the journal that stays empty, and the SR is not
        claimed: a plan only reads, and may do so beside a run. Raises UsageError (no such SR, no password),
        TargetUnreachable or HarnessError.
        """
        try:
            opened = opening(self.settings, self._open, self.recorder, leasing=self._leasing, planning=planning)
        except BaseException:
            self._open.close()
            raise
        self._bench, self.settings, self.leased_kinds = opened.bench, opened.settings, opened.leased_kinds

    @contextmanager
    def turn(self, declared: frozenset[str] | None) -> Iterator[None]:
        """Inside, a test with these needs has its turn on the host, beside neighbours or alone; raises HarnessError."""
        if self._turns is None:
            if self.settings.emulated_here:
                yield
                return
            self._turns = Turns(claims_folder(self.settings.environment), self.bench.product.pool_uuid)
        with self._turns.taken(alone=reaches_beyond(declared)) as disturbed:
            if disturbed:
                self.bench.revive()
            yield

    def refuse_leased(self, required: Collection[str]) -> None:
        """Raise NotRun where a test needs an SR of a kind that a worker of this run has leased as its own."""
        for kind in sorted(self.leased_kinds):
            if f"sr:{kind}" in required:
                raise NotRun(f"the SR of kind {kind} {LEASED}")

    @property
    def is_open(self) -> bool:
        """Whether there is a target to judge."""
        return self._bench is not None

    @property
    def bench(self) -> Bench:
        """The bench; raises HarnessError while nothing is open."""
        if self._bench is None:
            raise HarnessError("there is no target: the run could not be opened")
        return self._bench

    @property
    def secrets(self) -> Secrets:
        """What must never be written."""
        return self.recorder.secrets

    @cached_property
    def search(self) -> hypothesis.settings:
        """How much hypothesis searches; it shrinks only where calls cost nothing but time on an emulated host."""
        examples = None if self.plan is None else self.plan.examples
        shrink = self._shrink and self.bench.target.kind == "emulator"
        return searching.profile(self.settings.speed, shrink=shrink, examples=examples)

    def make_plan(self, tests: Sequence[PlannedTest]) -> Plan:
        """Plan the run of `tests` by reads only, and begin to spend its budget; raises HarnessError.

        Off an emulated host the budget is DEFAULT_BUDGET_S unless another was named.
        """
        bench, settings = self.bench, self.settings
        emulated = bench.target.kind == "emulator"
        seconds = settings.budget_s or (None if emulated else DEFAULT_BUDGET_S)
        self.plan = make_plan(
            tests,
            capabilities=bench.capabilities,
            consents=bench.consents,
            reached=bench.reached,
            limits=bench.limits,
            costs=costs(),
            latency_s=measured_latency(bench),
            examples=searching.EXAMPLES[settings.speed],
            budget_s=seconds,
        )
        bench.budget = Budget(seconds)
        return self.plan

    def require(self, names: Sequence[str]) -> tuple[Capability, ...]:
        """Return those of the named capabilities that the target lacks; raises UsageError for an unknown name."""
        capabilities = self.bench.capabilities
        check_names(names, tuple(capabilities), "capability")
        return tuple(capabilities[name] for name in names if not capabilities[name].present)

    @cached_property
    def _bundler(self) -> Bundler:
        return Bundler(lambda: self._right, self._stand, lambda: self._studied, declared_defects)

    @property
    def _stand(self) -> Stand:
        return Stand(self.bench, lambda: self.interceptor)

    @cached_property
    def _right(self) -> Stand:
        return reference(self._open, self.bench, lambda: self.interceptor)

    @cached_property
    def _studied(self) -> Stand:
        return reference(self._open, self.bench, lambda: self.interceptor)

    def bundle(self, finding: Finding, alternatives: Sequence[Alternative]) -> Bundle:
        """Make the bundle of the failure in which the latest test ended; raises Inexpressible where there is none."""
        if self.bench.gone is not None:
            raise Inexpressible(f"nothing can be replayed any more: {self.bench.gone}")
        if self.recorder.trace.overflowed:
            raise Inexpressible("it took too many calls")
        events = self.recorder.trace.events
        requirement = finding.violated or finding.requirement
        try:
            with self.turn(None):
                witness, note = self._bundler.witness(finding.id, events, requirement, alternatives)
        except HarnessError as error:
            raise Inexpressible(f"the host could not be had alone: {error}") from error
        bundle = Bundle(
            test=finding.id,
            requirement=requirement,
            reason=finding.reason,
            fingerprint=fingerprint(requirement[0], finding.verdict.value, finding.reason, finding.evidence.actual),
            seed=self.settings.seed,
            suite=suite_identity()["version"],
            target=self.subject,
            witness=witness,
            exchange=finding.evidence.exchange,
            note=note,
        )
        return replace(bundle, python=python_script(bundle), xe=xe_script(bundle))

    def select_issues(self, selected: Collection[str]) -> tuple[Issue, ...]:
        """Choose the entries of the ledger that are about this target and these requirements; return them."""
        self.known_issues = KnownIssues.of(self.settings.ledger, self.subject, selected)
        return self.known_issues.judged

    def replay_issues(self) -> Iterator[Finding]:
        """Replay each chosen entry of the ledger once, and yield what that found."""
        known, stand = self.known_issues, self._stand
        for issue in known.judged:
            if issue.expired(known.today):
                yield known.found(issue, None)
                continue
            began = time.monotonic()
            with self.turn(None):
                replayed = stand.replay(issue.witness.steps, issue.id)
            ended = "" if replayed.ended is None else self.secrets.mask(str(replayed.ended))
            concluded = conclude(issue.witness, replayed.saw, ended)
            yield known.found(issue, concluded, calls=replayed.calls, duration_s=time.monotonic() - began)

    @property
    def subject(self) -> Subject:
        """What a bundle says of the target."""
        told = self.describe()
        return Subject(
            told["kind"],
            told["product"],
            told["version"],
            told["build"],
            self.bench.repositories[MAIN].driver,
            told["profile"],
            tuple(told["defects"]),
        )

    @cached_property
    def interceptor(self) -> Interceptor:
        """The interceptor in front of the target, started when first asked for; raises InterceptorError."""
        target = self.bench.target
        return self._open.enter_context(Interceptor(target.url, target.trust))

    def lab(self, test_id: str, needed: Needs | None = None) -> Lab:
        """Return the lab of one test, which is held to what it declared as `needed`."""
        lab = Lab(self.bench, test_id, needed)
        lab.keep_on_failure = self.settings.keep_on_failure
        lab.thorough = self.settings.speed != "quick"
        return lab

    def describe(self) -> dict[str, Any]:
        """Return the fields of the `target` event: what is judged, and what it can do."""
        bench = self.bench
        emulated = bench.target.kind == "emulator" or "emulated" in bench.product.software_version
        return {
            # an emulated host says so itself; no run against one may pass for a run against a host
            "kind": "emulator" if emulated else "host",
            "product": bench.product.product,
            "version": bench.product.version,
            "build": bench.product.build,
            "api_version": bench.product.api_version,
            "driver": bench.repositories[MAIN].driver,
            "url": bench.target.endpoint.url,
            "tls": bench.target.trust.words(bench.target.endpoint.scheme),
            "profile": bench.profile.name,
            "warning": bench.warning,
            "defects": list(bench.target.defects),
            "capabilities": bench.capabilities.as_json(),
        }

    def rerun(self, requirement: str, test_id: str) -> str:
        """Return the command line that runs one test again with the same draws; it holds no secret."""
        test = test_id.partition("[")[0].rpartition("::")[2]
        return run_again(self.settings, profile=self.bench.profile.name, requirement=requirement, test=test)

    def methods(self) -> frozenset[str]:
        """Return the plain names of the calls that the target says it has; empty where it does not say."""
        return frozenset(canonical(each) for each in listed_methods(self.bench.session) or ())

    def close(self) -> dict[str, Any]:
        """Remove what was created and is left, end everything that was started; returns the `journal` event's fields.

        Clean-up failures are told there, for themselves: they change no test's verdict.
        """
        with self._open:
            if self._bench is None:
                return {"created": 0, "removed": 0, "left": [], "troubles": [], "clean": ""}
            summary = self._bench.close()
            clean = shlex.join(["xencbt", "clean", "--journal-dir", str(self._bench.journal.path.parent.absolute())])
            return summary.as_json() | {
                "troubles": [self.secrets.mask(trouble) for trouble in self._bench.troubles],
                "clean": clean if summary.left and not self._bench.target.ours else "",
            }
