"""One judged test, from what it recorded to its finding and the bundle that goes along."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.harness.witness.examples import bundle as example
from xencbt.harness.classify import Phase
from xencbt.harness.exchange import Recorder
from xencbt.harness.findings import Finding
from xencbt.harness.knowing import KnownIssues
from xencbt.harness.masking import Secrets
from xencbt.harness.trial import Trial, steps_of
from xencbt.harness.verdicts import Accepted, Verdict, Violation
from xencbt.harness.witness.bundles import Bundle, read_bundle
from xencbt.harness.witness.deriving import Inexpressible


def test_the_steps_of_a_failure_are_what_was_done_and_what_showed_it() -> None:
    recorder = Recorder(Secrets())
    for method, outcome in (
        ("VDI.create", "ok"),
        ("VDI.get_record", "ok"),
        ("VDI.get_uuid", "no answer (closed)"),
        ("task.create", "ok"),
        ("PUT /import_raw_vdi", "ok"),
        ("VDI.enable_cbt", "VDI_MISSING[]"),
        ("VDI.get_cbt_enabled", "ok: true"),
    ):
        recorder.record(method=method, step=method, outcome=outcome, started=0, duration_s=0, request="", response="")
    assert [exchange.step for exchange in steps_of(recorder.kept)] == [
        "VDI.create",
        "VDI.get_uuid",
        "PUT /import_raw_vdi",
        "VDI.enable_cbt",
        "VDI.get_cbt_enabled",
    ]
    assert steps_of(()) == []


def failed(bundle: Callable[..., Bundle], *, bundles: bool = True) -> Finding:
    judge: Any = SimpleNamespace(
        recorder=Recorder(Secrets()),
        secrets=Secrets(),
        settings=SimpleNamespace(bundles=bundles),
        rerun=lambda *_: "again",
        known_issues=KnownIssues(),
        bundle=bundle,
    )
    trial = Trial("a test", ("ENABLE-15",), judge)
    accepted = (Accepted("A"), Accepted("B", ("a word",)), Accepted(None))
    trial._gathering.raised(Phase.CALL, Violation("it succeeded", accepted=accepted))
    return trial.finding()


def test_a_failure_takes_its_bundle_along_and_names_what_is_allowed() -> None:
    asked: list[Any] = []

    def bundle(finding: Finding, alternatives: Any) -> Bundle:
        asked.append((finding.verdict, alternatives))
        return read_bundle(example())

    found = failed(bundle)
    assert found.evidence.replay is not None
    assert found.evidence.replay["schema"] == "xencbt.bundle/1"
    assert asked == [(Verdict.FAIL, ({"failed": "A"}, {"failed": "B", "mentions": ["a word"]}, {"succeeds": True}))]
    assert Finding.from_json(json.loads(json.dumps(found.as_json()))) == found


@pytest.mark.parametrize("trouble", [Inexpressible("it is a race"), KeyError("our mistake"), RecursionError("deep")])
def test_a_bundle_that_cannot_be_made_costs_the_finding_nothing(trouble: Exception) -> None:
    def bundle(*_: object) -> Bundle:
        raise trouble

    found = failed(bundle)
    assert (found.verdict, found.reason) == (Verdict.FAIL, "it succeeded")
    assert found.evidence.replay is None
    assert str(trouble) in found.evidence.unreplayable


def test_no_bundle_is_made_where_none_is_wanted() -> None:
    def bundle(*_: object) -> Bundle:
        raise AssertionError("nobody asked for it")

    assert failed(bundle, bundles=False).evidence.unreplayable == ""
