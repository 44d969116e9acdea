"""What clients are told of changes: tokens, single objects, lost events, and the older form of asking."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.emulator.served import PASSWORD, Failed, decode, furnish
from xencbt.fixtures.emulator import events
from xencbt.fixtures.emulator.calls import Calls
from xencbt.fixtures.emulator.database import DELETIONS_KEPT
from xencbt.fixtures.emulator.host import EmulatedHost
from xencbt.fixtures.emulator.options import Options
from xencbt.fixtures.emulator.values import Ref

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

SOON_S = 20.0
TURNS = 100


class Client:
    """One session with a bare host, without a wire but through the codec; waits run on the test's own loop."""

    def __init__(self, runner: asyncio.Runner, calls: Calls, host: EmulatedHost) -> None:
        self.runner, self.calls, self.host = runner, calls, host
        self.session = ""

    def log_in(self, user: str = "root") -> Client:
        other = Client(self.runner, self.calls, self.host)
        other.session = self.run(other.calling("session.login_with_password", user, PASSWORD))
        return other

    async def calling(self, name: str, *params: Any) -> Any:
        answer = self.calls.begin(name, [self.session, *params] if self.session else params)
        return decode(answer if isinstance(answer, bytes) else await answer.task)

    def run(self, work: Any) -> Any:
        return self.runner.run(asyncio.wait_for(work, SOON_S))

    def call(self, name: str, *params: Any) -> Any:
        return self.run(self.calling(name, *params))

    def refused(self, name: str, *params: Any) -> tuple[str, ...]:
        with pytest.raises(Failed) as failed:
            self.call(name, *params)
        return tuple(failed.value.args)

    def told(self, *classes: str, token: str = "", timeout: float = 0.0) -> tuple[str, list[tuple[str, str, str]]]:
        batch = self.call("event.from", list(classes), token, timeout)
        return batch["token"], [(e["class"], e["operation"], e["ref"]) for e in batch["events"]]

    @asynccontextmanager
    async def asking(self, name: str, *params: Any) -> AsyncIterator[asyncio.Task[Any]]:
        """Ask, and go on once the host waits for news."""
        task = asyncio.create_task(self.calling(name, *params))
        await self.waiting()
        yield task

    async def waiting(self) -> None:
        """Let the loop turn until somebody waits for news."""
        for _ in range(TURNS):
            if self.host.events._waiting:
                return
            await asyncio.sleep(0)
        raise AssertionError("nobody waits")


@pytest.fixture
def client() -> Iterator[Client]:
    with asyncio.Runner() as runner:
        host = EmulatedHost(Options(password=PASSWORD))
        furnish(host)
        yield Client(runner, Calls(host), host).log_in()


def refs(client: Client, cls: str) -> list[str]:
    found: list[str] = client.call(f"{cls}.get_all")
    return found


def test_everything_comes_as_added_at_first_with_whole_records(client: Client) -> None:
    batch = client.call("event.from", ["*"], "", 0.0)
    assert {(e["class"], e["operation"]) for e in batch["events"]} == {
        (name, "add") for name in ("host", "pool", "sr", "vdi")
    }
    for event in batch["events"]:
        cls = {"sr": "SR", "vdi": "VDI"}.get(event["class"], event["class"])
        assert event["snapshot"] == client.call(f"{cls}.get_record", event["ref"])
        assert event["timestamp"].value.endswith("Z")
    counts = batch["valid_ref_counts"]
    assert {name for name, count in counts.items() if count != 0} == {"host", "pool", "sr", "vdi"}
    assert "session" not in counts


def test_a_token_divides_what_was_told_from_what_was_not(client: Client) -> None:
    (vdi,) = refs(client, "VDI")
    token, _ = client.told("VDI")
    assert client.told("VDI", token=token) == (token, [])
    client.call("VDI.set_tags", vdi, ["a"])
    later, changes = client.told("VDI", token=token)
    assert changes == [("vdi", "mod", vdi)]
    assert client.told("VDI", token=later)[1] == []
    assert client.told("VDI", token=token)[1] == changes  # the same question has the same answer


def test_one_object_alone_can_be_watched(client: Client) -> None:
    (vdi,), (sr,) = refs(client, "VDI"), refs(client, "SR")
    other = client.host.db.add("VDI", SR=sr)
    assert client.told(f"VDI/{vdi}")[1] == [("vdi", "add", vdi)]
    token, _ = client.told("*")
    for ref in (vdi, other):
        client.call("VDI.set_tags", ref, ["a"])
    assert client.told(f"vdi/{vdi}", token=token)[1] == [("vdi", "mod", vdi)]
    assert client.told(f"SR/{vdi}", "vm", "nonesuch", "VDI/", token=token)[1] == []


def test_an_object_that_came_and_went_unseen_is_not_told(client: Client) -> None:
    token, _ = client.told("network")
    network = client.call("network.create", {})
    seen, changes = client.told("network", token=token)
    assert changes == [("network", "add", network)]
    client.call("network.destroy", network)
    assert client.told("network", token=token)[1] == []
    assert client.told("network", token=seen)[1] == [("network", "del", network)]
    assert client.told("network")[1] == []


def test_a_wait_ends_with_news_of_interest_only(client: Client) -> None:
    (vdi,), (sr,) = refs(client, "VDI"), refs(client, "SR")
    token, _ = client.told("*")

    async def watch() -> Any:
        async with client.asking("event.from", [f"VDI/{vdi}"], token, 60.0) as answer:
            await client.calling("SR.set_tags", sr, ["b"])
            await client.calling("network.create", {})
            assert not answer.done()
            await client.calling("VDI.set_tags", vdi, ["a"])
            return await answer

    batch = client.run(watch())
    assert [(e["operation"], e["snapshot"]["tags"]) for e in batch["events"]] == [("mod", ["a"])]
    assert client.told("*", token=batch["token"])[1] == []


def test_a_wait_looks_at_each_change_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    (vdi,), (sr,) = refs(client, "VDI"), refs(client, "SR")
    token, _ = client.told("*")
    looked: list[str] = []
    covers = events.Interest.covers

    def counting(interest: events.Interest, change: Any) -> bool:
        looked.append(change.ref)
        return covers(interest, change)

    monkeypatch.setattr(events.Interest, "covers", counting)

    async def watch() -> Any:
        async with client.asking("event.from", [f"VDI/{vdi}"], token, 60.0) as answer:
            for number in range(20):
                client.host.db.add("VDI", SR=sr)
                await client.waiting()
                assert not answer.done(), number
            client.host.db.touch("VDI", Ref(vdi))
            return await answer

    assert [e["ref"] for e in client.run(watch())["events"]] == [vdi]
    assert len(looked) == len(set(looked)) + 19  # only the SR, which lists its disks, changed each time


@pytest.mark.parametrize("timeout", [0.0, -5.0, 0.01])
def test_a_wait_without_news_ends_in_time_with_a_token(client: Client, timeout: float) -> None:
    token, _ = client.told("VDI")
    assert client.told("VDI", token=token, timeout=timeout) == (token, [])


def test_a_token_from_before_the_kept_history_is_too_old(client: Client) -> None:
    token, _ = client.told("*")
    client.host.db.remove("VDI", client.host.db.add("VDI"))
    recent, _ = client.told("*")
    for _ in range(DELETIONS_KEPT):
        client.host.db.remove("network", client.host.db.add("network"))
    assert client.refused("event.from", ["VDI"], token, 0.0) == ("EVENTS_LOST",)
    assert client.told("VDI", token=recent)[1] == []
    assert client.told("VDI")[1][0][:2] == ("vdi", "add")


@pytest.mark.parametrize(
    "token", ["x", "1", "1,", ",1", "-1,0", "1,2,3", " 1,2", "9" * 21 + ",0", "\N{ARABIC-INDIC DIGIT FIVE},0"]
)
def test_what_is_no_token_is_refused(client: Client, token: str) -> None:
    assert client.refused("event.from", ["*"], token, 0.0) == ("EVENT_FROM_TOKEN_PARSE_FAILURE", token)


def test_an_injected_event_ends_a_wait_and_its_token_lies_after_it(client: Client) -> None:
    (pool,) = refs(client, "pool")
    token, _ = client.told("*")

    async def watch() -> tuple[Any, str]:
        async with client.asking("event.from", ["pool"], token, 60.0) as answer:
            after = await client.calling("event.inject", "Pool", pool)
            return await answer, after

    batch, after = client.run(watch())
    assert [(e["operation"], e["ref"]) for e in batch["events"]] == [("mod", pool)]
    assert client.told("pool", token=after)[1] == []
    for cls, ref in (("pool", "x"), ("nonesuch", pool), ("vdi", pool), ("", "")):
        assert client.refused("event.inject", cls, ref) == ("HANDLE_INVALID", cls, ref)


# the older form


def test_the_older_form_tells_what_came_after_registering(client: Client) -> None:
    (vdi,), (sr,) = refs(client, "VDI"), refs(client, "SR")
    client.call("VDI.set_tags", vdi, ["before"])
    client.call("event.register", ["vdi"])
    client.call("SR.set_tags", sr, ["of no interest"])
    client.call("VDI.set_tags", vdi, ["after"])
    (event,) = client.call("event.next")
    assert (event["class"], event["operation"], event["ref"]) == ("vdi", "mod", vdi)
    assert event["snapshot"]["tags"] == ["after"]
    assert int(event["id"]) <= int(client.call("event.get_current_id"))

    async def watch() -> Any:
        async with client.asking("event.next") as answer:
            await client.calling("SR.set_tags", sr, ["still of none"])
            assert not answer.done()
            await client.calling("VDI.set_tags", vdi, ["once more"])
            return await answer

    assert [e["snapshot"]["tags"] for e in client.run(watch())] == [["once more"]]


def test_the_older_form_needs_a_registration(client: Client) -> None:
    assert client.refused("event.next") == ("SESSION_NOT_REGISTERED", client.session)
    client.call("event.register", ["VDI", "SR"])
    client.call("event.register", ["*"])
    client.call("event.unregister", ["vdi", "*"])
    network = client.call("network.create", {})
    client.call("SR.set_tags", refs(client, "SR")[0], ["a"])
    assert [e["class"] for e in client.call("event.next")] == ["sr"]
    client.call("event.unregister", ["sr", "never registered"])
    assert client.refused("event.next")[0] == "SESSION_NOT_REGISTERED"
    assert network


def test_registrations_are_a_sessions_own_and_end_with_it(client: Client) -> None:
    client.call("event.register", ["*"])
    other = client.log_in()
    assert other.refused("event.next")[0] == "SESSION_NOT_REGISTERED"
    client.call("session.logout")
    assert not client.host.events.registrations


def test_the_older_form_says_when_events_were_lost_and_then_goes_on(client: Client) -> None:
    client.call("event.register", ["vdi"])
    client.host.db._forgotten = client.host.db.generation + 1
    client.call("VDI.set_tags", refs(client, "VDI")[0], ["a"])
    assert client.refused("event.next") == ("EVENTS_LOST",)
    client.call("VDI.set_tags", refs(client, "VDI")[0], ["b"])
    client.call("VDI.set_tags", refs(client, "VDI")[0], ["c"])
    assert [e["snapshot"]["tags"] for e in client.call("event.next")] == [["c"]]


def test_nobody_registers_for_everything_one_by_one(client: Client) -> None:
    client.call("event.register", [f"vdi/{number}" for number in range(events.WORDS_REGISTERED)])
    assert client.refused("event.register", ["one more"])[0] == "VALUE_NOT_SUPPORTED"


def test_a_wait_of_the_older_form_ends_with_its_session(client: Client) -> None:
    client.call("event.register", ["vm"])

    async def watch() -> None:
        async with client.asking("event.next") as answer:
            await client.calling("session.logout")
            with pytest.raises(Failed, match="SESSION_INVALID"):
                await answer

    client.run(watch())
