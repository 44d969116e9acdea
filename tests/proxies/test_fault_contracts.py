"""Per kind of fault: what the client sees (the outcome's class), and how often the host executed the call."""

import pytest

from tests.proxies.client import Client, seen
from tests.proxies.host import COUNTING, REFUSED, SILENT, Host
from xencbt.harness.faults import KINDS, AnswerLost, Duplicate, Fault, Phase, Plan, Planned, RequestDropped
from xencbt.harness.outcome import Failed, Ok
from xencbt.harness.verdicts import NotExercised
from xencbt.proxies import Interceptor
from xencbt.proxies.carriers import CARRIERS

ENABLE = "VDI.enable_cbt"

CONTRACTS: list[tuple[Fault, str, int]] = [
    (AnswerLost(), "lost", 1),
    (RequestDropped(), "lost", 0),
    (Duplicate(), "success", 2),
]


def test_every_kind_has_a_carrier_and_a_contract() -> None:
    kinds = {kind.fault for kind in KINDS.values()}
    assert kinds == set(CARRIERS) == {type(fault) for fault, _, _ in CONTRACTS}


@pytest.mark.parametrize(
    ("fault", "client_sees", "executions"), CONTRACTS, ids=lambda value: getattr(value, "name", None)
)
def test_contract(
    interceptor: Interceptor, host: Host, client: Client, fault: Fault, client_sees: str, executions: int
) -> None:
    assert seen(client, client.call(ENABLE, "OpaqueRef:vdi")) == "success"  # the same call, undisturbed
    assert host.executions(ENABLE) == 1

    with interceptor.arm(Plan.of(Planned(fault, ENABLE)), client.session) as armed:
        outcome = client.call(ENABLE, "OpaqueRef:vdi")
        assert seen(client, outcome) == client_sees
        assert host.executions(ENABLE) == 1 + executions
        assert armed.receipts[0].fired  # noted before the client sees anything
        assert seen(client, client.call(ENABLE, "OpaqueRef:vdi")) == "success"  # once only
        assert host.executions(ENABLE) == 2 + executions
    armed.require_fired()
    (receipt,) = armed.receipts
    (firing,) = receipt.firings
    assert (firing.call, firing.method, receipt.matched) == (1, ENABLE, 2)
    assert receipt.healed is not None
    assert receipt.armed <= firing.time <= receipt.healed

    assert seen(client, client.call(ENABLE, "OpaqueRef:vdi")) == "success"
    assert host.executions(ENABLE) == 3 + executions


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
    assert client.session not in str([receipt.as_json() for receipt in armed.receipts])


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
    assert armed.receipts[0].as_json()["firings"][0]["answer"] == "VDI_MISSING"


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
