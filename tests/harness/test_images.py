"""Images over HTTP: streamed, decided by their task, and never taken for one when they are none."""

import pytest

from tests.harness.scripted_host import Reply, answer
from tests.harness.test_rawdisk import EXPORT, VDI, scripted, task
from xencbt.harness.bitmap import BLOCK
from xencbt.harness.endpoint import Endpoint
from xencbt.harness.exchange import Recorder
from xencbt.harness.images import export_pieces, export_whole, serves_vhd
from xencbt.harness.masking import Secrets
from xencbt.harness.outcome import Failed, Indeterminate, Ok, Outcome
from xencbt.harness.session import Session
from xencbt.harness.vhd import Piece, encode

SIZE = 4 * 2**20
IMAGE = b"".join(encode(SIZE, [0, 63], lambda block: bytes([block + 1]) * BLOCK))


def exported(reply: Reply, status: str = "success", *error: str) -> tuple[Outcome, list[Piece], Session]:
    taken: list[Piece] = []
    with scripted(task(status, *error), exports=reply) as host:
        session = Session.login(Endpoint.parse(host.url), "root", "pw", Recorder(Secrets()), deadline_s=5)
        outcome = export_pieces(session, VDI, SIZE, taken.append, deadline_s=5)
        session.close()
        assert host.requests[EXPORT] == host.requests["task.destroy"] == 1
    return outcome, taken, session


def test_pieces_of_an_export_come_in_order() -> None:
    outcome, taken, session = exported(answer(IMAGE, close=True))
    assert outcome == Ok("")
    assert [(piece.block, set(piece.data)) for piece in taken] == [(0, {1}), (63, {64})]
    (exchange,) = (one for one in session.recorder.kept if one.method == EXPORT)
    assert exchange.step == f'{EXPORT}("OpaqueRef:1234…", vhd)'


@pytest.mark.parametrize("status", ["success", "failure"])
def test_a_whole_export_is_counted_and_not_looked_at(status: str) -> None:
    with scripted(task(status, "VDI_IN_USE"), exports=answer(bytes(600), close=True)) as host:
        session = Session.login(Endpoint.parse(host.url), "root", "pw", Recorder(Secrets()), deadline_s=5)
        outcome = export_whole(session, VDI, form="vhd", deadline_s=5)
        session.close()
    assert outcome == (Ok(600) if status == "success" else Failed("VDI_IN_USE", ()))


def test_an_export_without_its_end_is_indeterminate() -> None:
    outcome, _, _ = exported(answer(IMAGE[:-512], close=True))
    assert isinstance(outcome, Indeterminate)
    assert "too early" in outcome.why


def test_raw_content_is_not_taken_for_an_image() -> None:
    outcome, taken, _ = exported(answer(bytes(600), close=True))
    assert isinstance(outcome, Indeterminate)
    assert "no VHD stream" in outcome.why
    assert taken == []


def test_the_task_tells_why_an_export_failed() -> None:
    outcome, _, _ = exported(answer(b"", status="409 Conflict", close=True), "failure", "VDI_IN_USE", VDI)
    assert outcome == Failed("VDI_IN_USE", (VDI,))


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (answer(IMAGE, close=True), ""),
        (answer(bytes(600), close=True), r"a stream that begins with b'\x00\x00\x00\x00\x00\x00\x00\x00'"),
        (answer(b"", status="501 Not Implemented", close=True), "HTTP 501 Not Implemented"),
    ],
)
def test_what_a_handler_gives_for_a_vhd_is_told(reply: Reply, said: str) -> None:
    with scripted(task("success"), exports=reply) as host:
        session = Session.login(Endpoint.parse(host.url), "root", "pw", Recorder(Secrets()), deadline_s=5)
        assert serves_vhd(session, VDI) == Ok(said)
        session.close()
