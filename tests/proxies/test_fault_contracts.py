"""Per kind of fault: what the client sees (the outcome's class), and how often the host executed the call."""

import errno
import json
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module

import pytest

from tests.proxies.client import Client, seen
from tests.proxies.host import COUNTING, REFUSED, SILENT, TASK, Host
from xencbt.harness.faults import (
    KINDS,
    AnswerLost,
    ApiError,
    Blackhole,
    ConnectionReset,
    ConnectionsRefused,
    Delay,
    Duplicate,
    EmptyAnswer,
    Fault,
    HostIsSlave,
    HttpStatus,
    LateDuplicate,
    Layer,
    MalformedAnswer,
    Phase,
    Plan,
    Planned,
    Reordered,
    RequestDropped,
    SessionInvalid,
    SlowDrip,
    TaskFailed,
    TaskNeverEnds,
    TruncatedAnswer,
    WrongCertificate,
    WrongLength,
)
from xencbt.harness.faults.watch import now
from xencbt.harness.outcome import Failed, Ok
from xencbt.harness.verdicts import NotExercised
from xencbt.proxies import Interceptor
from xencbt.proxies.carriers import CARRIERS

ENABLE = "VDI.enable_cbt"
SHORT = 0.3
"""How long a client waits where nothing comes, in seconds: long enough that a busy machine answers what it answers."""


@dataclass(frozen=True)
class Contract:
    """What a call that meets `fault` looks like to the client, and how often the host executed it."""

    fault: Fault
    sees: str
    executions: int
    phase: Phase | None = None
    method: str = ENABLE

    def __str__(self) -> str:
        return f"{self.planned.when.value} {self.fault}"

    @property
    def planned(self) -> Planned:
        return Planned(self.fault, ENABLE, phase=self.phase)


CONTRACTS = [
    Contract(AnswerLost(), "lost", 1),
    Contract(RequestDropped(), "lost", 0),
    Contract(Duplicate(), "success", 2),
    Contract(Delay(0.05), "success", 1),
    Contract(Delay(0.05), "success", 1, Phase.AFTER),
    Contract(Blackhole(), "silence", 0),
    Contract(Blackhole(), "silence", 1, Phase.AFTER),
    Contract(ConnectionReset(), "lost", 0),
    Contract(ConnectionReset(), "lost", 1, Phase.AFTER),
    Contract(ConnectionsRefused(0.05), "lost", 0),
    Contract(ConnectionsRefused(0.05), "lost", 1, Phase.AFTER),
    Contract(TruncatedAnswer(), "garbled", 1),
    Contract(TruncatedAnswer(ending="reset"), "garbled", 1),
    Contract(TruncatedAnswer(ending="hanging"), "silence", 1),
    Contract(TruncatedAnswer(keep=0.0), "garbled", 1),
    Contract(MalformedAnswer(), "garbled", 1),
    Contract(MalformedAnswer("no-text"), "garbled", 1),
    Contract(MalformedAnswer("something-else"), "garbled", 1),
    Contract(EmptyAnswer(), "garbled", 1),
    Contract(WrongLength(-10), "garbled", 1),
    Contract(WrongLength(10), "garbled", 1),
    Contract(HttpStatus(404), "HTTP 404", 0),
    Contract(HttpStatus(503), "HTTP 503", 1, Phase.AFTER),
    Contract(SlowDrip(64, 0.001), "success", 1),
    Contract(ApiError("VDI_IN_USE"), "refusal", 0),
    Contract(ApiError("VDI_IN_USE"), "refusal", 1, Phase.AFTER),
    Contract(SessionInvalid(), "refusal", 0),
    Contract(HostIsSlave(), "refusal", 0),
    Contract(TaskFailed(), "success", 0, method="Async.VDI.enable_cbt"),
    Contract(TaskNeverEnds(), "success", 0, method="Async.VDI.enable_cbt"),
    Contract(TaskNeverEnds(), "success", 1, Phase.AFTER, method="Async.VDI.enable_cbt"),
]
OF_THEIR_OWN = {LateDuplicate, Reordered, WrongCertificate}
"""They reach beyond one call: each has a test below."""


def test_every_kind_of_the_interceptor_has_a_carrier_and_a_contract_for_each_phase() -> None:
    ours = {kind.fault: kind for kind in KINDS.values() if kind.layer in {Layer.TRANSPORT, Layer.API}}
    assert set(ours) == set(CARRIERS)
    agreed = {(type(each.fault), each.planned.when) for each in CONTRACTS}
    assert agreed == {(kind, phase) for kind in ours if kind not in OF_THEIR_OWN for phase in ours[kind].phases}


@pytest.mark.parametrize("contract", CONTRACTS, ids=str)
def test_contract(interceptor: Interceptor, host: Host, client: Client, contract: Contract) -> None:
    method = contract.method
    assert seen(client, client.call(method, "OpaqueRef:vdi")) == "success"  # the same call, undisturbed
    assert host.executions(method) == 1
    if contract.sees == "silence":
        client.patience(SHORT)

    with interceptor.arm(Plan.of(contract.planned), client.session) as armed:
        outcome = client.call(method, "OpaqueRef:vdi")
        assert seen(client, outcome) == contract.sees, outcome
        assert host.executions(method) == 1 + contract.executions
        if not isinstance(contract.fault, TaskFailed | TaskNeverEnds):  # what they deliver is another call
            assert contract.executions == contract.planned.deliveries
        assert armed.receipts[0].fired, armed.receipts[0].why_not  # noted before the client sees anything
        client.patience(10)
        until_connected(client)
        before = host.executions(method)
        assert seen(client, client.call(method, "OpaqueRef:vdi")) == "success"  # once only
        assert host.executions(method) == before + 1
    armed.require_fired()
    (receipt,) = armed.receipts
    (firing,) = receipt.firings
    assert (firing.call, firing.method) == (1, method)
    assert receipt.healed is not None
    assert receipt.armed <= firing.time <= receipt.healed

    assert seen(client, client.call(method, "OpaqueRef:vdi")) == "success"


def until_connected(client: Client) -> None:
    """Return when calls get through again: an old connection has ended, a refusal that lasts some time is over."""
    deadline = time.monotonic() + 10
    while seen(client, client.call("session.get_uuid")) != "success":
        assert time.monotonic() < deadline


def test_the_receipt_keeps_the_hosts_answer_and_the_byte(interceptor: Interceptor, client: Client) -> None:
    plan = Plan.of(
        *(Planned(fault, COUNTING, nth=nth) for nth, fault in enumerate((TruncatedAnswer(0.25), WrongLength(-7)), 1))
    )
    with interceptor.arm(plan, client.session) as armed:
        outcomes = [seen(client, client.call(COUNTING)) for _ in range(2)]
    assert outcomes == ["garbled", "garbled"]
    cut, short = (receipt.firings[0] for receipt in armed.receipts)
    whole = len(answer_body(client))
    assert (cut.answer, cut.byte) == (Ok("1"), whole // 4)
    assert (short.answer, short.byte) == (Ok("2"), whole - 7)


def answer_body(client: Client) -> bytes:
    until_connected(client)  # the connection ended with the last answer
    assert seen(client, client.call(COUNTING)) == "success"
    return client.received


def test_a_delay_takes_as_long_as_it_says(interceptor: Interceptor, client: Client) -> None:
    client.call(ENABLE)
    with interceptor.arm(Plan.of(Planned(Delay(0.2), ENABLE)), client.session):
        began = time.monotonic()
        client.call(ENABLE)
        assert time.monotonic() - began >= 0.2


def test_a_slow_answer_arrives_in_pieces(interceptor: Interceptor, client: Client) -> None:
    client.call(ENABLE)
    with interceptor.arm(Plan.of(Planned(SlowDrip(16, 0.005), ENABLE)), client.session):
        began = time.monotonic()
        assert seen(client, client.call(ENABLE)) == "success"
        pieces = len(client.received) // 16
        assert time.monotonic() - began >= 0.005 * pieces


def test_healing_lets_the_rest_of_a_slow_answer_go_at_once(interceptor: Interceptor, client: Client) -> None:
    client.call(ENABLE)
    with ThreadPoolExecutor(1) as pool:
        with interceptor.arm(Plan.of(Planned(SlowDrip(1, 5.0), ENABLE)), client.session) as armed:
            waiting = pool.submit(client.call, ENABLE)
            until(lambda: armed.receipts[0].fired)
        assert isinstance(waiting.result(10), Ok)


def until(condition: Callable[[], bool]) -> None:
    """Return when `condition` holds: it does so on another thread, within ten seconds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.001)


def test_a_blackhole_ends_with_its_plan(interceptor: Interceptor, client: Client, host: Host) -> None:
    with ThreadPoolExecutor(1) as pool:
        with interceptor.arm(Plan.of(Planned(Blackhole(), ENABLE)), client.session) as armed:
            waiting = pool.submit(client.call, ENABLE)
            until(lambda: armed.receipts[0].fired)
            assert not waiting.done()
        assert seen(client, waiting.result(10)) == "lost"
    assert host.executions(ENABLE) == 0


def test_a_hanging_answer_ends_with_its_plan(interceptor: Interceptor, client: Client) -> None:
    plan = Plan.of(Planned(TruncatedAnswer(ending="hanging"), ENABLE))
    with ThreadPoolExecutor(1) as pool:
        with interceptor.arm(plan, client.session) as armed:
            waiting = pool.submit(client.call, ENABLE)
            until(lambda: armed.receipts[0].fired)
        assert seen(client, waiting.result(10)) == "garbled"


@pytest.mark.parametrize("phase", [Phase.BEFORE, Phase.AFTER])
def test_a_reset_is_a_reset_and_no_orderly_end(interceptor: Interceptor, plain_host: Host, phase: Phase) -> None:
    url = interceptor.add_upstream(plain_host.url)
    plan = Plan.of(Planned(ConnectionReset(), ENABLE, phase=phase))
    with interceptor.arm(plan, None) as armed, pytest.raises(ConnectionResetError):
        raw_call(url)
    armed.require_fired()


def test_a_truncated_answer_that_is_reset_is_a_reset(interceptor: Interceptor, plain_host: Host) -> None:
    url = interceptor.add_upstream(plain_host.url)
    plan = Plan.of(Planned(TruncatedAnswer(ending="reset"), ENABLE))
    with interceptor.arm(plan, None), pytest.raises(ConnectionResetError):
        raw_call(url)


def raw_call(url: str) -> bytes:
    body = b"<methodCall><methodName>VDI.enable_cbt</methodName><params/></methodCall>"
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as sock:
        sock.sendall(b"POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        received = b""
        while part := sock.recv(65536):
            received += part
        return received


def test_refused_connections_are_refused_until_healed(interceptor: Interceptor, client: Client, host: Host) -> None:
    with interceptor.arm(Plan.of(Planned(ConnectionsRefused(), ENABLE)), client.session) as armed:
        assert seen(client, client.call(ENABLE)) == "lost"
        armed.require_fired()
        assert [seen(client, client.call(ENABLE)) for _ in range(3)] == ["refused"] * 3
    assert seen(client, client.call(ENABLE)) == "success"
    assert host.executions(ENABLE) == 1


def test_the_port_of_refused_connections_is_kept_until_it_is_served_again(
    interceptor: Interceptor, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    listeners = import_module("xencbt.proxies.listeners").Listeners  # only now: mitmproxy's warnings are silenced
    opening, met = listeners._open, list[int]()

    async def late(self: object, upstream: object, where: str) -> None:
        host, _, port = where.removeprefix("@").rpartition(":")
        with socket.socket() as caller:
            met.append(caller.connect_ex((host, int(port))))
        with socket.socket() as taker, pytest.raises(OSError, match="in use"):
            taker.bind((host, int(port)))
        await opening(self, upstream, where)

    monkeypatch.setattr(listeners, "_open", late)
    with interceptor.arm(Plan.of(Planned(ConnectionsRefused(), ENABLE)), client.session) as armed:
        assert seen(client, client.call(ENABLE)) == "lost"
        armed.require_fired()
    assert met == [errno.ECONNREFUSED]
    assert seen(client, client.call(ENABLE)) == "success"


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [("wrong-name", "IP address mismatch"), ("expired", "certificate has expired"), ("foreign", "self-signed")],
)
def test_a_wrong_certificate_is_wrong_in_its_own_way(
    interceptor: Interceptor, plain_host: Host, certificate: str, reason: str
) -> None:
    url = interceptor.over_tls(interceptor.add_upstream(plain_host.url))
    fault = WrongCertificate(certificate)  # type: ignore[arg-type]  # one of the words
    with Client(url, trusted=interceptor.certificate) as client:
        assert seen(client, client.call(ENABLE)) == "success"
        with interceptor.arm(Plan.of(Planned(fault, ENABLE)), client.session) as armed:
            assert seen(client, client.call(ENABLE)) == "lost"
            armed.require_fired()
            untrusted = client.call(ENABLE)
            assert seen(client, untrusted) == "untrusted"
            assert reason in str(untrusted)
        assert seen(client, client.call(ENABLE)) == "success"
    assert plain_host.executions(ENABLE) == 2


def test_a_late_duplicate_arrives_after_other_calls(interceptor: Interceptor, client: Client, host: Host) -> None:
    with interceptor.arm(Plan.of(Planned(LateDuplicate(2), COUNTING)), client.session) as armed:
        assert client.call(COUNTING) == Ok("1")
        fired = [armed.receipts[0].fired]
        for method in ("VDI.disable_cbt", "VDI.snapshot"):
            client.call(method)
            fired.append(armed.receipts[0].fired)
    assert fired == [False, False, True]
    assert [method for method, _ in host.executed] == [COUNTING, "VDI.disable_cbt", "VDI.snapshot", COUNTING]
    first, *_, last = host.requests
    assert first == last
    assert armed.receipts[0].firings[0].answer == Ok("2")


def test_a_late_duplicate_whose_time_never_comes_has_not_fired(
    interceptor: Interceptor, client: Client, host: Host
) -> None:
    with interceptor.arm(Plan.of(Planned(LateDuplicate(), COUNTING)), client.session) as armed:
        client.call(COUNTING)
    with pytest.raises(NotExercised, match="healed with 1 more calls to be answered"):
        armed.require_fired()
    client.call(ENABLE)
    assert host.executions(COUNTING) == 1


def test_a_call_is_overtaken_by_a_later_one(interceptor: Interceptor, client: Client, host: Host) -> None:
    with (
        Client(client.url, trusted=interceptor.certificate) as other,
        ThreadPoolExecutor(1) as pool,
        interceptor.arm(Plan.of(Planned(Reordered(), ENABLE)), client.session) as armed,
    ):
        held = pool.submit(client.call, ENABLE)
        until(lambda: armed.receipts[0].matched == 1)
        assert seen(other, other.call("VDI.disable_cbt")) == "success"
        assert seen(client, held.result(10)) == "success"
        armed.require_fired()
    assert [method for method, _ in host.executed] == ["VDI.disable_cbt", ENABLE]


def test_a_call_that_nothing_overtakes_goes_on_when_healed(
    interceptor: Interceptor, client: Client, host: Host
) -> None:
    with ThreadPoolExecutor(1) as pool:
        with interceptor.arm(Plan.of(Planned(Reordered(), ENABLE)), client.session) as armed:
            held = pool.submit(client.call, ENABLE)
            until(lambda: armed.receipts[0].matched == 1)
        assert seen(client, held.result(10)) == "success"
    with pytest.raises(NotExercised, match="no later call overtook it"):
        armed.require_fired()
    assert host.executions(ENABLE) == 1


@pytest.mark.parametrize(
    ("fault", "refusal"),
    [
        (ApiError("VDI_IN_USE"), Failed("VDI_IN_USE", ("OpaqueRef:vdi", "enable_cbt"))),
        (
            ApiError("SR_BACKEND_FAILURE_44"),
            Failed("SR_BACKEND_FAILURE_44", ("", "There is insufficient space", "")),
        ),
        (ApiError("MADE_UP", ("a", "{object}", "<&>")), Failed("MADE_UP", ("a", "OpaqueRef:vdi", "<&>"))),
        (SessionInvalid(), Failed("SESSION_INVALID", ("OpaqueRef:a",))),
    ],
)
def test_refusals_look_as_a_host_writes_them(
    interceptor: Interceptor, client: Client, fault: Fault, refusal: Failed
) -> None:
    with interceptor.arm(Plan.of(Planned(fault, ENABLE, times=2)), client.session):
        assert client.call(ENABLE, "OpaqueRef:vdi") == refusal
        params = [client.session, "OpaqueRef:vdi"]
        call = {"jsonrpc": "2.0", "id": 7, "method": "VDI_enable_cbt", "params": params}
        client.post(json.dumps(call).encode(), "application/json", "/jsonrpc")
    assert json.loads(client.received) == {
        "jsonrpc": "2.0",
        "id": 7,
        "error": {"code": 1, "message": refusal.code, "data": list(refusal.params)},
    }


def test_a_slave_that_names_itself_is_a_loop(interceptor: Interceptor, client: Client) -> None:
    with interceptor.arm(Plan.of(Planned(HostIsSlave(), "session.login_with_password", times=3)), None):
        answers = {client.call("session.login_with_password") for _ in range(3)}
    address = client.url.partition("://")[2]
    assert answers == {Failed("HOST_IS_SLAVE", (address,))}


@pytest.mark.parametrize("fault", [TaskFailed(), TaskNeverEnds()], ids=lambda fault: fault.name)
def test_a_task_that_goes_wrong_is_the_hosts_own_and_removed_when_healed(
    interceptor: Interceptor, client: Client, host: Host, fault: Fault
) -> None:
    with interceptor.arm(Plan.of(Planned(fault, ENABLE)), client.session):
        assert client.call("Async.VDI.enable_cbt", "OpaqueRef:vdi") == Ok(TASK)
        assert host.executions("task.destroy") == 0
    failing = ["task.set_error_info", "task.set_status"] if isinstance(fault, TaskFailed) else []
    assert [method for method, _ in host.executed] == ["task.create", *failing, "task.destroy"]


@pytest.mark.parametrize("fault", [TaskFailed(), TaskNeverEnds()], ids=lambda fault: fault.name)
def test_a_call_that_asks_for_no_task_gets_none(
    interceptor: Interceptor, client: Client, host: Host, fault: Fault
) -> None:
    with interceptor.arm(Plan.of(Planned(fault, ENABLE)), client.session) as armed:
        assert seen(client, client.call(ENABLE)) == "success"
    with pytest.raises(NotExercised, match="answers with no task"):
        armed.require_fired()
    assert host.executions(ENABLE) == 1


@pytest.mark.parametrize("form", ["VDI_enable_cbt", "Async.VDI.enable_cbt", "Async.VDI_enable_cbt"])
@pytest.mark.parametrize("fault", [AnswerLost(), RequestDropped()], ids=lambda fault: fault.name)
def test_other_forms_of_the_method_are_hit(interceptor: Interceptor, plain_host: Host, fault: Fault, form: str) -> None:
    with (
        Client(interceptor.add_upstream(plain_host.url)) as client,
        interceptor.arm(Plan.of(Planned(fault, ENABLE)), client.session) as armed,
    ):
        assert seen(client, client.call(form)) == "lost"
    assert armed.receipts[0].firings[0].method == form
    assert plain_host.executions(form) == (1 if fault.phase is Phase.AFTER else 0)


def test_a_lost_answer_is_in_the_receipt(interceptor: Interceptor, client: Client, host: Host) -> None:
    plan = Plan.of(Planned(AnswerLost(), ENABLE), Planned(AnswerLost(), REFUSED))
    with interceptor.arm(plan, client.session) as armed:
        assert seen(client, client.call(ENABLE)) == "lost"
        assert seen(client, client.call(REFUSED)) == "lost"
    done, refused = (receipt.firings[0].answer for receipt in armed.receipts)
    assert done == Ok("")
    assert refused == Failed("VDI_MISSING", ("SR-ref", client.session))
    assert host.executions(REFUSED) == 1
    assert client.session not in str([receipt.as_json(now()) for receipt in armed.receipts])


def test_the_client_of_a_duplicate_gets_the_first_answer_and_the_receipt_the_second(
    interceptor: Interceptor, client: Client
) -> None:
    with interceptor.arm(Plan.of(Planned(Duplicate(), COUNTING)), client.session) as armed:
        assert client.call(COUNTING) == Ok("1")
    assert armed.receipts[0].firings[0].answer == Ok("2")


def test_a_duplicate_is_the_same_bytes_and_headers(interceptor: Interceptor, client: Client, host: Host) -> None:
    with interceptor.arm(Plan.of(Planned(Duplicate(), ENABLE)), client.session):
        client.call(ENABLE, "OpaqueRef:vdi")
    first, second = host.requests
    assert first == second
    path, headers, body = first
    assert path == "/RPC2"
    assert ("X-Kept", "as it is") in headers
    assert b"OpaqueRef:vdi" in body


def test_a_duplicate_of_a_refused_call_is_refused_twice(interceptor: Interceptor, client: Client, host: Host) -> None:
    with interceptor.arm(Plan.of(Planned(Duplicate(), REFUSED)), client.session) as armed:
        assert seen(client, client.call(REFUSED)) == "refusal"
    assert host.executions(REFUSED) == 2
    assert armed.receipts[0].as_json(now())["firings"][0]["answer"] == "VDI_MISSING"


def test_a_dropped_call_opens_no_connection_to_the_host(interceptor: Interceptor, client: Client, host: Host) -> None:
    with interceptor.arm(Plan.of(Planned(RequestDropped(), "*")), client.session):
        assert seen(client, client.call(ENABLE)) == "lost"
    assert host.connections == 0


def test_a_fault_without_its_call_does_not_fire(interceptor: Interceptor, client: Client, host: Host) -> None:
    with interceptor.arm(Plan.of(Planned(AnswerLost(), "VDI.disable_cbt")), client.session) as armed:
        assert seen(client, client.call(ENABLE)) == "success"
    assert host.executions(ENABLE) == 1
    assert not armed.receipts[0].fired
    with pytest.raises(NotExercised, match=r"answer-lost at call 1 of VDI\.disable_cbt did not fire: 0 matching calls"):
        armed.require_fired()


@pytest.mark.parametrize("fault", [AnswerLost(), Duplicate()], ids=lambda fault: fault.name)
def test_a_fault_after_the_host_acted_does_not_fire_where_the_host_gives_no_answer(
    interceptor: Interceptor, client: Client, host: Host, fault: Fault
) -> None:
    with interceptor.arm(Plan.of(Planned(fault, SILENT)), client.session) as armed:
        assert seen(client, client.call(SILENT)) == "lost"
    assert host.executions(SILENT) == 1
    assert not armed.receipts[0].fired
    assert "before the host answered" in armed.receipts[0].why_not


def test_only_the_armed_session_is_hit(interceptor: Interceptor, host: Host) -> None:
    url = interceptor.add_upstream(host.url, host.certificate)
    with Client(url, "OpaqueRef:mine") as mine, Client(url, "OpaqueRef:other") as other:
        plan = Plan.of(Planned(RequestDropped(), ENABLE, nth=2))
        with interceptor.arm(plan, mine.session) as armed, interceptor.arm(plan, "OpaqueRef:nobody") as unused:
            seen_by = [
                (client.session, seen(client, client.call(ENABLE))) for client in (other, mine, other, mine, other)
            ]
    assert [what for who, what in seen_by if who == other.session] == ["success"] * 3
    assert [what for who, what in seen_by if who == mine.session] == ["success", "lost"]
    assert host.executions(ENABLE, other.session) == 3
    assert host.executions(ENABLE, mine.session) == 1
    assert armed.receipts[0].firings[0].call == 2
    assert (unused.receipts[0].fired, unused.receipts[0].matched) == (False, 0)


def test_without_a_session_every_call_is_hit(interceptor: Interceptor, client: Client, host: Host) -> None:
    with interceptor.arm(Plan.of(Planned(RequestDropped(), "session.login_with_password")), None) as armed:
        assert seen(client, client.call("session.login_with_password")) == "lost"
    armed.require_fired()
    assert host.executions("session.login_with_password") == 0


def test_the_nth_call_and_no_other(interceptor: Interceptor, client: Client, host: Host) -> None:
    with interceptor.arm(Plan.of(Planned(AnswerLost(), ENABLE, nth=3, times=2)), client.session) as armed:
        assert [seen(client, client.call(ENABLE)) for _ in range(6)] == [
            *("success", "success", "lost", "lost", "success", "success")
        ]
    armed.require_fired()
    assert [firing.call for firing in armed.receipts[0].firings] == [3, 4]
    assert host.executions(ENABLE) == 6


def test_several_faults_in_one_plan(interceptor: Interceptor, client: Client, host: Host) -> None:
    plan = Plan.of(
        Planned(RequestDropped(), ENABLE),
        Planned(AnswerLost(), "VDI.*", nth=2),
        Planned(Duplicate(), "VDI.disable_cbt", nth=2),
    )
    calls = (ENABLE, ENABLE, "VDI.disable_cbt", "VDI.disable_cbt", "SR.scan")
    with interceptor.arm(plan, client.session) as armed:
        assert [seen(client, client.call(method)) for method in calls] == [
            *("lost", "lost", "success", "success", "success")
        ]
    armed.require_fired()
    assert [receipt.firings[0].call for receipt in armed.receipts] == [1, 2, 4]
    assert (host.executions(ENABLE), host.executions("VDI.disable_cbt"), host.executions("SR.scan")) == (1, 3, 1)


def test_a_plan_is_healed_when_its_test_breaks(interceptor: Interceptor, client: Client) -> None:
    class Broken(Exception):
        pass

    with pytest.raises(Broken), interceptor.arm(Plan.of(Planned(RequestDropped(), ENABLE)), client.session) as armed:
        raise Broken
    assert seen(client, client.call(ENABLE)) == "success"
    assert armed.receipts[0].healed is not None
    assert not armed.receipts[0].fired
