"""A play passes an honest host, and shows each way in which a host can lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from tests.suites.tracking_host import UNRELATED, TrackingHost
from xencbt.fixtures.bench import Bench
from xencbt.fixtures.lab import Lab
from xencbt.fixtures.targets import Target
from xencbt.harness.bitmap import BLOCK, Bitmap
from xencbt.harness.capabilities import Capabilities, Capability
from xencbt.harness.journal import Journal
from xencbt.harness.model import (
    Attach,
    Attachment,
    Destroy,
    Disable,
    Enable,
    ListChanged,
    Resize,
    Snapshot,
    Step,
    UncleanStop,
    Write,
)
from xencbt.harness.outcome import Failed, Ok, Outcome
from xencbt.harness.profiles import XAPI
from xencbt.harness.repositories import Repository
from xencbt.harness.verdicts import Violation
from xencbt.suites.play import Play, known_content
from xencbt.suites.wording import words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from xencbt.harness.product import Product

SIZE = 4 << 20


@pytest.fixture
def host() -> TrackingHost:
    return TrackingHost()


@pytest.fixture
def play(host: TrackingHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    monkeypatch.setattr("xencbt.fixtures.disks.import_ranges", lambda _, ref, writes: host.write(ref, writes))
    main = Repository("main", "sr", "sr-uuid", "lvm", {"VDI_CONFIG_CBT": 1}, frozenset())
    journal = Journal(tmp_path / "journal", "run")
    bench = Bench(
        target=Target("http://127.0.0.1", "root", "secret"),
        session=host,
        recorder=host.recorder,
        product=cast("Product", None),
        repositories={"main": main},
        capabilities=Capabilities((Capability("raw-import", present=True, detail=""),)),
        profile=XAPI,
        warning=None,
        journal=journal,
        seed=1,
        consents=frozenset(),
    )
    play = Play(Lab(bench, "a test"))
    play.create("disk", size=SIZE)
    yield play
    journal.close()


def begun(play: Play) -> Play:
    """Enable, take a baseline, and write block 7."""
    play.do(Enable("disk"))
    play.do(Snapshot("disk", "baseline"))
    play.do(Write("disk", 7 * BLOCK, 1))
    return play


def marking(change: Callable[[frozenset[int]], frozenset[int]]) -> Callable[[Outcome], Outcome]:
    """Twist the marked blocks of every listing that succeeds."""

    def twist(honest: Outcome) -> Outcome:
        if not isinstance(honest, Ok):
            return honest
        return Ok(Bitmap.of(change(Bitmap.from_base64(honest.value).blocks), SIZE).to_base64())

    return twist


def test_an_honest_host_passes(play: Play) -> None:
    play.precise = True
    begun(play).do(Snapshot("disk", "later"))
    play.do(Write("disk", 0, BLOCK))
    play.do(Disable("disk"))
    play.do(Enable("disk"))
    play.do(Snapshot("disk", "other set"))
    found = play.listings()
    assert {pair: bitmap.blocks for pair, bitmap in found.items()} == {
        ("baseline", "later"): {7},
        ("other set", "disk"): frozenset(),
    }
    assert list(play.names_of_snapshots()) == ["baseline", "later", "other set"]


def test_a_lost_bit_is_a_violation(play: Play, host: TrackingHost) -> None:
    begun(play)
    host.twists["VDI.list_changed_blocks"] = marking(lambda blocks: blocks - {7})
    with pytest.raises(Violation, match="from baseline to disk: a backup would lose block 7") as caught:
        play.listing("baseline", "disk")
    assert caught.value.block_map is not None
    drawn = caught.value.block_map.as_json()
    assert (drawn["from"], drawn["to"]) == (play.disks["baseline"].shown, play.disks["disk"].shown)
    assert (drawn["expected"], drawn["reported"], drawn["missing"], drawn["extra"]) == ([[7, 7]], [], [[7, 7]], [])


def test_a_superfluous_bit_is_a_violation_only_where_precision_is_asked_for(play: Play, host: TrackingHost) -> None:
    begun(play)
    host.twists["VDI.list_changed_blocks"] = marking(lambda blocks: blocks | {8})
    assert play.listing("baseline", "disk") is not None
    play.precise = True
    with pytest.raises(Violation, match="block 8 was never written in between"):
        play.listing("baseline", "disk")


@pytest.mark.parametrize("answer", ["AAAA", "%%%%", "AAAAAAAAAAA", 7])
def test_a_bitmap_of_another_form_is_a_violation(play: Play, host: TrackingHost, answer: object) -> None:
    begun(play)
    host.twists["VDI.list_changed_blocks"] = lambda _: Ok(answer)
    with pytest.raises(Violation, match=r"gave no bitmap|form is wrong"):
        play.listing("baseline", "disk")


def test_a_wrong_status_is_a_violation(play: Play, host: TrackingHost) -> None:
    host.twists["VDI.get_cbt_enabled"] = lambda _: Ok(value=False)
    with pytest.raises(Violation, match="cbt_enabled of disk is wrong after enable_cbt of disk"):
        play.do(Enable("disk"))


def test_the_status_of_every_disk_is_read(play: Play, host: TrackingHost) -> None:
    play.create("neighbour", size=SIZE)

    def spill(honest: Outcome) -> Outcome:
        host.records[play.disks["neighbour"].ref]["cbt_enabled"] = True
        return honest

    host.twists["VDI.enable_cbt"] = spill
    with pytest.raises(Violation, match="cbt_enabled of neighbour is wrong"):
        play.do(Enable("disk"))


def test_a_call_that_must_be_refused_and_succeeds_is_a_violation(play: Play, host: TrackingHost) -> None:
    begun(play)
    host.twists["VDI.enable_cbt"] = lambda _: Ok("")
    with pytest.raises(Violation, match="enable_cbt of baseline") as caught:
        play.do(Enable("baseline"))
    assert caught.value.expected == ("OPERATION_NOT_ALLOWED",)


def test_a_listing_across_sets_that_succeeds_is_a_violation(play: Play, host: TrackingHost) -> None:
    begun(play).do(Disable("disk"))
    host.twists["VDI.list_changed_blocks"] = lambda _: Ok(Bitmap.of((), SIZE).to_base64())
    with pytest.raises(Violation, match="list_changed_blocks from baseline to disk"):
        play.listing("baseline", "disk")


def test_a_call_that_is_refused_and_must_succeed_is_a_violation(play: Play, host: TrackingHost) -> None:
    host.twists["VDI.enable_cbt"] = lambda _: Failed("VDI_IN_USE", ("ref", "enable_cbt"))
    with pytest.raises(Violation, match="enable_cbt of disk"):
        play.do(Enable("disk"))


def test_a_listing_that_is_refused_and_must_succeed_is_a_violation(play: Play, host: TrackingHost) -> None:
    begun(play)
    host.twists["VDI.list_changed_blocks"] = lambda _: UNRELATED
    with pytest.raises(Violation, match="list_changed_blocks from baseline to disk"):
        play.listing("baseline", "disk")


def test_a_refusal_with_another_code_is_a_violation(play: Play, host: TrackingHost) -> None:
    begun(play)
    host.twists["VDI.enable_cbt"] = lambda _: Failed("INTERNAL_ERROR")
    with pytest.raises(Violation, match="enable_cbt of baseline"):
        play.do(Enable("baseline"))


def test_a_refusal_that_changes_the_disk_is_a_violation(play: Play, host: TrackingHost) -> None:
    begun(play)

    def meddle(honest: Outcome) -> Outcome:
        host.records[play.disks["baseline"].ref]["name_label"] = "meddled with"
        return honest

    host.twists["VDI.enable_cbt"] = meddle
    with pytest.raises(Violation, match="the disk changed by a refused call: enable_cbt of baseline"):
        play.do(Enable("baseline"))


def test_a_listing_that_changes_a_disk_is_a_violation(play: Play, host: TrackingHost) -> None:
    begun(play)

    def meddle(honest: Outcome) -> Outcome:
        host.records[play.disks["disk"].ref]["name_label"] = "meddled with"
        return honest

    host.twists["VDI.list_changed_blocks"] = meddle
    with pytest.raises(Violation, match="the disk changed by listing changed blocks"):
        play.listings()


def test_a_status_the_model_leaves_open_is_decided_by_reading(play: Play, host: TrackingHost) -> None:
    play.do(Enable("disk"))
    play.note(Attach("disk", Attachment.READ_WRITE))
    play.note(UncleanStop("disk"))
    assert play.model.enabled("disk") is True
    with pytest.raises(Violation, match="cbt_enabled of disk is wrong after the attachment of disk became rw"):
        play.note(Attach("disk", Attachment.READ_WRITE))
    assert host.records[play.disks["disk"].ref]["cbt_enabled"]


def test_sizes_are_taken_as_the_host_rounds_them(play: Play) -> None:
    play.precise = True
    begun(play).do(Resize("disk", SIZE + 1))
    assert play.disks["disk"].size == SIZE + BLOCK
    assert play.model.disk("disk").size == SIZE + BLOCK
    bitmap = play.listing("baseline", "disk")
    assert bitmap is not None
    assert bitmap.covers(SIZE + BLOCK)


def test_a_destroyed_disk_is_asked_no_more(play: Play) -> None:
    begun(play).do(Destroy("baseline"))
    assert list(play.disks) == ["disk"]
    assert play.model.expected_status() == {"disk": True}


def test_known_content_is_the_same_in_each_block() -> None:
    one, two = known_content(-3, BLOCK), known_content(-3, 2 * BLOCK)
    assert two == one + one
    assert known_content(-4, BLOCK) != one
    assert known_content(-3, 100) == one[:100]


def test_steps_read_with_the_short_names() -> None:
    steps: list[Step] = [
        Enable("disk"),
        Snapshot("disk", "s"),
        ListChanged("s", "disk"),
        Write("disk", 5, 6),
        UncleanStop("disk"),
    ]
    assert [words(step) for step in steps] == [
        "enable_cbt of disk",
        "snapshot of disk as s",
        "list_changed_blocks from s to disk",
        "a write of 6 bytes at 5 to disk",
        "the host stopped uncleanly while it used disk",
    ]
