"""Raw disk transfers: framed as the host reads them, sent once, and judged by their task."""

import socket
import struct
import threading

import pytest

from tests.harness.scripted_host import Reply, ScriptedHost, answer, failure, hang_up, success
from xencbt.harness.endpoint import Endpoint
from xencbt.harness.exchange import Recorder
from xencbt.harness.masking import Secrets
from xencbt.harness.outcome import Failed, Indeterminate, Ok, Outcome
from xencbt.harness.rawdisk import export_range, frames, handler_answers, import_ranges
from xencbt.harness.session import Session

VDI = "OpaqueRef:12345678-1234-1234-1234-123456789abc"
IMPORT = "PUT /import_raw_vdi"
EXPORT = "GET /export_raw_vdi"
CONTENT = bytes(range(256)) * 16


def task(status: str, *error: str) -> dict[str, object]:
    return {"status": status, "error_info": list(error)}


class Taking:
    """The host's side of an import: 200 first, then the body until its end mark."""

    def __init__(self) -> None:
        self.body = b""

    def __call__(self, sock: socket.socket, _stop: threading.Event) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while not self.body.endswith(bytes(12)):
            self.body += sock.recv(65536)
        sock.shutdown(socket.SHUT_RDWR)


def run(host: ScriptedHost, what: str = "import") -> tuple[Outcome, Session]:
    session = Session.login(Endpoint.parse(host.url), "root", "pw", Recorder(Secrets()), deadline_s=5)
    if what == "import":
        outcome = import_ranges(session, VDI, [(65536, b"abc"), (0, b"d")], deadline_s=2)
    else:
        outcome = export_range(session, VDI, 10, 300, deadline_s=2)
    session.close()
    return outcome, session


def scripted(status: dict[str, object], *, imports: Reply = hang_up, exports: Reply = hang_up) -> ScriptedHost:
    return ScriptedHost(
        {
            "task.create": answer(success("OpaqueRef:task")),
            "task.get_record": answer(success(status)),
            "task.destroy": answer(success("")),
            IMPORT: imports,
            EXPORT: exports,
        }
    )


def test_frames_are_offset_length_data_and_an_end_mark() -> None:
    assert b"".join(frames([(2**33, b"xy")])) == struct.pack("<QI", 2**33, 2) + b"xy" + bytes(12)


def test_an_empty_write_is_refused_since_it_would_be_an_end_mark() -> None:
    with pytest.raises(ValueError, match="would end the stream"):
        list(frames([(0, b"")]))


def test_ranges_arrive_and_the_task_is_removed() -> None:
    taking = Taking()
    with scripted(task("success"), imports=taking) as host:
        outcome, _ = run(host)
        assert outcome == Ok("")
        assert taking.body == b"".join(frames([(65536, b"abc"), (0, b"d")]))
        assert host.requests["task.destroy"] == 1


def test_the_task_tells_the_failure() -> None:
    with scripted(task("failure", "VDI_IN_USE", VDI, "import"), imports=answer(b"", status="409 Conflict")) as host:
        assert run(host)[0] == Failed("VDI_IN_USE", (VDI, "import"))


@pytest.mark.parametrize("status", ["pending", "success"])
def test_an_import_cut_off_is_indeterminate_and_not_sent_again(status: str) -> None:
    with scripted(task(status), imports=hang_up) as host:
        assert isinstance(run(host)[0], Indeterminate)
        assert host.requests[IMPORT] == 1


def test_an_import_whose_task_never_finishes_is_indeterminate() -> None:
    with scripted(task("pending"), imports=Taking()) as host:
        assert isinstance(run(host)[0], Indeterminate)


def test_a_range_of_an_export_is_cut_out() -> None:
    with scripted(task("success"), exports=answer(CONTENT[:310], close=True)) as host:
        assert run(host, "export")[0] == Ok(CONTENT[10:310])


def test_an_export_that_goes_on_is_left_and_its_end_awaited() -> None:
    with scripted(task("failure", "VDI_IO_ERROR"), exports=answer(CONTENT, close=True)) as host:
        batch = {"token": "1", "events": [{"operation": "mod", "snapshot": task("failure")}], "valid_ref_counts": {}}
        host.script["event.from"] = answer(success(batch))
        assert run(host, "export")[0] == Ok(CONTENT[10:310])
        assert host.requests["event.from"] == 1


def test_the_task_is_asked_once_the_connection_has_closed() -> None:
    """The last byte may come before the host has finished the task: only the end of the connection comes after."""
    asked = threading.Event()

    def finishing_last(sock: socket.socket, stop: threading.Event) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 310\r\n\r\n" + CONTENT[:310])
        if not asked.wait(0.2):
            host.script["task.get_record"] = answer(success(task("success")))
        hang_up(sock, stop)

    def too_early(sock: socket.socket, stop: threading.Event) -> None:
        asked.set()
        answer(success(task("pending")))(sock, stop)

    with scripted(task("pending"), exports=finishing_last) as host:
        host.script["task.get_record"] = too_early
        assert run(host, "export")[0] == Ok(CONTENT[10:310])


def test_a_connection_that_stays_open_after_the_content_is_not_waited_for_beyond_the_deadline() -> None:
    with scripted(task("success"), exports=answer(CONTENT[:310])) as host:
        assert run(host, "export")[0] == Ok(CONTENT[10:310])


def test_an_export_that_ends_early_is_indeterminate() -> None:
    with scripted(task("success"), exports=answer(CONTENT[:200], close=True)) as host:
        assert run(host, "export")[0] == Indeterminate("the export ended after 200 of 310 bytes")


def test_a_task_that_cannot_be_made_ends_it_before_anything_is_transferred() -> None:
    with ScriptedHost({"task.create": answer(failure("RBAC_PERMISSION_DENIED", "task.create"))}) as host:
        assert run(host)[0] == Failed("RBAC_PERMISSION_DENIED", ("task.create",))
        assert host.requests[IMPORT] == 0


def test_a_transfer_is_recorded_without_content_and_without_session() -> None:
    with scripted(task("success"), imports=Taking()) as host:
        _, session = run(host)
    (exchange,) = (one for one in session.recorder.kept if one.method == IMPORT)
    assert exchange.step == f'{IMPORT}("OpaqueRef:1234…", 2 ranges, 4 bytes)'
    assert (exchange.request, exchange.response) == ("", "")


def test_a_handler_shows_itself_by_its_status() -> None:
    with ScriptedHost({"GET /export_raw_vdi HTTP/1.0": answer(b"", status="401 Unauthorized", close=True)}) as host:
        session = Session.login(Endpoint.parse(host.url), "root", "pw", Recorder(Secrets()))
        assert handler_answers(session, "/export_raw_vdi") == Ok(401)
        session.close()


def sent_to(url: str) -> Reply:
    def reply(sock: socket.socket, _stop: threading.Event) -> None:
        head = f"HTTP/1.1 302 Found\r\nLocation: {url}/export_raw_vdi?x=1\r\nContent-Length: 0\r\n"
        sock.sendall(f"{head}Connection: close\r\n\r\n".encode())
        sock.shutdown(socket.SHUT_RDWR)

    return reply


def test_the_host_that_has_the_disk_is_asked_where_another_leads_to_it() -> None:
    export = answer(CONTENT[:310], close=True)
    with scripted(task("success"), exports=hang_up) as host:
        beside = ("127.0.0.2", host.port)
        with ScriptedHost({EXPORT: export}, beside) as other:
            host.script[EXPORT] = sent_to(other.url)
            assert run(host, "export")[0] == Ok(CONTENT[10:310])
            assert other.called == {other.url.removeprefix("http://")}
            assert (host.requests[EXPORT], other.requests[EXPORT]) == (1, 1)


def test_a_second_lead_is_not_followed() -> None:
    with scripted(task("pending")) as host, ScriptedHost({}, ("127.0.0.2", host.port)) as other:
        host.script[EXPORT] = sent_to(other.url)
        other.script[EXPORT] = sent_to(host.url)
        outcome = run(host, "export")[0]
        assert isinstance(outcome, Indeterminate)
        assert f"led to {other.url}" in outcome.why
        assert (host.requests[EXPORT], other.requests[EXPORT]) == (1, 1)


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1:{port}", "https://127.0.0.2:{port}", "http://127.0.0.2:1", "ftp://x"]
)
def test_leads_away_from_loopback_scheme_or_port_are_not_followed(url: str) -> None:
    with scripted(task("pending")) as host:
        host.script[EXPORT] = sent_to(url.format(port=host.port))
        outcome = run(host, "export")[0]
        assert isinstance(outcome, Indeterminate)
        assert "not followed" in outcome.why
        assert "5e55105e" not in outcome.why
