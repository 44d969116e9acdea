import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xencbt.harness.events import EventLog, UnreadableEvents, read_events
from xencbt.harness.exchange import KEPT_EXCHANGES, KEPT_RAW, KEPT_TEXT, Recorder
from xencbt.harness.findings import Evidence, Finding
from xencbt.harness.masking import MASK, Secrets
from xencbt.harness.seeds import derive
from xencbt.harness.verdicts import Verdict


def record(recorder: Recorder, text: str = "") -> None:
    recorder.record(method="m", step=text, outcome=text, started=0, duration_s=0, request=text, response=text)


def test_secrets_are_masked_before_they_are_kept() -> None:
    recorder = Recorder(Secrets(["hunter2", "hunter2-long", ""]))
    record(recorder, "pw=hunter2-long&session_id=OpaqueRef:1234&x=hunter2")
    kept = json.dumps(recorder.kept[0].as_json())
    assert "hunter2" not in kept
    assert "OpaqueRef:1234" not in kept
    assert recorder.kept[0].step == f"pw={MASK}&session_id={MASK}&x={MASK}"


def test_a_secret_is_masked_also_where_a_longer_text_is_cut() -> None:
    recorder = Recorder(Secrets(["s" * 40]))
    record(recorder, "x" * (KEPT_TEXT - 20) + "s" * 40)
    assert "s" * 20 not in recorder.kept[0].request


def test_a_secret_that_a_long_text_is_cut_within_is_masked_as_well() -> None:
    """Also where masking shortens the text so much that its end comes into view."""
    recorder = Recorder(Secrets(["s" * 40, "long" * 100]))
    for before in range(KEPT_RAW - 40, KEPT_RAW + 1):
        text = "long" * 100 * 40 + "x" * (before - 16_000) + "s" * 40
        record(recorder, text + "y")
        kept = recorder.kept[-1].request
        assert "sss" not in kept
        assert len(kept) < KEPT_TEXT + 60


def test_what_becomes_known_as_a_secret_later_is_masked_as_well() -> None:
    recorder = Recorder(secrets := Secrets())
    record(recorder, "token hunter2")
    secrets.add("hunter2")
    assert "hunter2" not in repr(recorder.kept)


def test_words_for_an_exchange_are_made_when_somebody_reads_it() -> None:
    recorder, made = Recorder(Secrets(["hunter2"])), []

    def words() -> str:
        made.append(1)
        return "pw=hunter2"

    recorder.record(method="m", step=words, outcome="ok", started=0, duration_s=0, request="", response="")
    assert made == []
    assert recorder.kept[0].step == f"pw={MASK}"


def test_exchanges_are_bounded_and_counted() -> None:
    recorder = Recorder(Secrets())
    for _ in range(KEPT_EXCHANGES + 5):
        record(recorder)
    assert recorder.calls == KEPT_EXCHANGES + 5
    assert len(recorder.kept) == KEPT_EXCHANGES
    assert recorder.kept[-1].number == recorder.calls
    recorder.forget()
    assert (recorder.kept, recorder.calls) == ((), KEPT_EXCHANGES + 5)
    recorder.begin_test()
    assert recorder.calls == 0


def test_what_goes_aside_is_counted_but_is_no_step() -> None:
    recorder = Recorder(Secrets())
    record(recorder, "step")
    with recorder.aside():
        record(recorder, "cleaning")
    record(recorder, "next")
    assert [exchange.step for exchange in recorder.kept] == ["step", "next"]
    assert recorder.calls == 3


def test_events_are_read_back_in_order(tmp_path: Path) -> None:
    with EventLog(tmp_path / "e.jsonl") as log:
        log.write("a", n=1)
        log.write("b", text="ä\n")
    assert list(read_events(tmp_path / "e.jsonl")) == [{"event": "a", "n": 1}, {"event": "b", "text": "ä\n"}]


def test_text_that_utf8_cannot_carry_does_not_lose_the_run(tmp_path: Path) -> None:
    with EventLog(tmp_path / "e.jsonl") as log:
        log.write("a", text="\ud800")
    assert list(read_events(tmp_path / "e.jsonl")) == [{"event": "a", "text": "\ud800"}]


def test_a_line_cut_by_a_crash_is_left_out_but_a_broken_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text('{"event": "a"}\n{"event": "b", "x')
    assert [event["event"] for event in read_events(path)] == ["a"]
    path.write_text('{"event": "a"}\nnonsense\n{"event": "b"}\n')
    with pytest.raises(UnreadableEvents, match="line 2"):
        list(read_events(path))
    path.write_text("[1]\n")
    with pytest.raises(UnreadableEvents, match="not an event"):
        list(read_events(path))


def test_an_existing_event_log_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").touch()
    with pytest.raises(FileExistsError):
        EventLog(tmp_path / "e.jsonl")


def test_a_finding_survives_json() -> None:
    finding = Finding(
        "suites.test_enable::test_x",
        ("ENABLE-01",),
        Verdict.FAIL,
        reason="r",
        deviations=("D-01",),
        receipts=({"fired": True},),
        evidence=Evidence(expected=("a",), steps=("b",), exchange={"number": 1}, bitmap={"from": "a"}),
    )
    assert Finding.from_json(json.loads(json.dumps(finding.as_json()))) == finding


@given(st.integers(0, 2**32 - 1), st.text(), st.text())
def test_seeds_derive_from_run_and_name_alone(seed: int, one: str, other: str) -> None:
    assert derive(seed, one) == derive(seed, one)
    assert (derive(seed, one) == derive(seed, other)) is (one == other)
