"""Exporting over NBD: where disks are served, that they are exact and read-only, how securely, and to whom."""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xencbt.fixtures.disks import Disk
from xencbt.fixtures.exports import addresses, connected, served
from xencbt.fixtures.images import write_sparse
from xencbt.fixtures.lab import MIB, Lab
from xencbt.fixtures.purposes import Purpose, network_of, possible_purposes, try_adding, without
from xencbt.harness.bitmap import BLOCK, block_count
from xencbt.harness.capabilities import MAIN
from xencbt.harness.decides import decides
from xencbt.harness.expectations import refusals
from xencbt.harness.nbd_protocol import STARTTLS, NbdRefused, NbdTrouble
from xencbt.harness.needs import needs
from xencbt.harness.sizes import Reach
from xencbt.harness.verdicts import Violation
from xencbt.suites.edges import LARGEST, edges
from xencbt.suites.exporting import (
    assert_erasing_refused,
    assert_exact,
    assert_nothing_at,
    assert_opens,
    assert_opens_for,
    assert_reads,
    assert_records,
    assert_refused,
    assert_write_refused,
    first_address,
    token_of,
)

SIZE = 2 * MIB
OTHER: dict[Purpose, Purpose] = {"nbd": "insecure_nbd", "insecure_nbd": "nbd"}
PLACES = st.integers(0, SIZE - 1) | st.builds(
    lambda block, by: max(0, min(SIZE - 1, block * BLOCK + by)),
    st.integers(0, SIZE // BLOCK),
    st.sampled_from((-1, 0, 1)),
)
"""Bytes of a disk, those around the boundaries of blocks among them."""

LENGTHS = st.sampled_from((1, 511, 512, 4096, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7))
RANGES = st.tuples(PLACES, LENGTHS)

both_purposes = pytest.mark.parametrize("purpose", ["nbd", "insecure_nbd"])
old_and_new_clients = pytest.mark.parametrize("oldest", [False, True], ids=["by GO", "by EXPORT_NAME"])


pytestmark = needs(
    "nbd", "raw-import", optional=("network-purpose", "raw-export", "sr:unrounded", "guest-write", "vm-power")
)
"""Every test of this chapter writes to disks, and reads them over NBD, for which networks may have to be changed."""


@pytest.fixture
def served_all_along(lab: Lab) -> Iterator[None]:
    """Have disks served during all examples of a property."""
    with lab.conditions.served_over_nbd():
        yield


def some_snapshot(lab: Lab) -> Disk:
    """Give a snapshot of which the content does not matter."""
    with lab.precondition("a snapshot"):
        return lab.create_disk().snapshot()


def snapshot_with_content(lab: Lab) -> tuple[Disk, bytes]:
    """Give a snapshot, and the content that was written before it was taken; afterwards its disk is another."""
    with lab.precondition("a snapshot with content"):
        disk = lab.create_disk(size=SIZE)
        content = bytearray(disk.size)
        for at, length in ((0, 1), (BLOCK - 1, 2), (2 * BLOCK, 2 * BLOCK), (disk.size - 4096, 4096)):
            content[at : at + length] = data = lab.content.draw(length)
            disk.write(offset=at, data=data)
        content[6 * BLOCK : 8 * BLOCK] = same = b"\x5a" * (
            2 * BLOCK
        )  # storage may keep such blocks in a way of its own
        disk.write(offset=6 * BLOCK, data=same)
        snapshot = disk.snapshot()
        disk.write(blocks=(0, 1, 2, 5, 7))
    return snapshot, bytes(content)


@decides("EXPORT-01")
def test_each_reachable_address_has_one_record(lab: Lab) -> None:
    """With exactly the documented fields, for each disk under its own name; and the disk is there."""
    snapshot = some_snapshot(lab)
    other = lab.create_disk()
    for purpose in possible_purposes(lab):
        with lab.conditions.served_over_nbd(purpose):
            for disk in (snapshot, other):
                assert_records(disk)
            for at in addresses(snapshot):
                assert_opens(snapshot, at)


@decides("EXPORT-01")
@both_purposes
def test_without_a_purpose_nothing_is_served(lab: Lab, purpose: Purpose) -> None:
    """No record while no network has a purpose; records while one has, and none again afterwards."""
    disk = lab.create_disk()
    with without(lab):
        for _ in range(2):
            if addresses(disk):
                raise Violation("no network has a purpose", expected=("no record",), actual=f"{len(addresses(disk))}")
            with lab.conditions.served_over_nbd(purpose):
                first_address(disk)


@decides("EXPORT-01")
def test_a_snapshot_without_data_is_served_nowhere(lab: Lab) -> None:
    """What data_destroy left is refused, by the call and by the server; before, both knew it."""
    with lab.precondition("a tracked snapshot"):
        snapshot = lab.create_disk().enable_cbt().snapshot()
    with lab.conditions.served_over_nbd():
        at = first_address(snapshot)
        assert_opens(snapshot, at)
        snapshot.data_destroy()
        lab.refuses(snapshot, "get_nbd_info", expectation=refusals.wrong_type("cbt_metadata", snapshot.ref))
        assert_refused(lab, at, "the data of this snapshot is destroyed")


@decides("EXPORT-01")
@needs("sr-unplug")
def test_what_no_host_reaches_is_served_nowhere(lab: Lab) -> None:
    """A host whose PBD of the SR is unplugged gives no address, however many networks have a purpose."""
    disk = lab.create_disk()
    with lab.conditions.served_over_nbd():
        assert_records(disk)
        with lab.conditions.unplugged(MAIN):
            found = addresses(disk)
            if found:
                raise Violation("no PBD of the SR is plugged", expected=("no record",), actual=f"{len(found)}")
        assert_records(disk)


@decides("EXPORT-02")
@old_and_new_clients
def test_a_snapshot_reads_as_it_was_taken(lab: Lab, oldest: bool) -> None:  # noqa: FBT001  a parameter
    """Every byte, whatever was written to the disk since, and again after it was written to once more."""
    snapshot, content = snapshot_with_content(lab)
    for purpose in possible_purposes(lab):
        with lab.conditions.served_over_nbd(purpose):
            at = first_address(snapshot)
            assert_exact(snapshot, at, content, oldest=oldest)
            assert_exact(snapshot, at, content, oldest=oldest)


@decides("EXPORT-02")
@pytest.mark.usefixtures("served_all_along")
@given(
    writes=st.lists(RANGES, min_size=1, max_size=3),
    later=st.lists(RANGES, max_size=2),
    reads=st.lists(RANGES, min_size=1, max_size=5),
)
def test_any_range_of_any_snapshot_reads_exactly(
    lab: Lab, writes: list[tuple[int, int]], later: list[tuple[int, int]], reads: list[tuple[int, int]]
) -> None:
    """Ranges of any alignment, over content that was written anywhere, of two snapshots of one disk."""
    with lab.example():
        disk = lab.create_disk(size=SIZE)
        content = bytearray(disk.size)
        states = []
        for batch in (writes, later):
            for at, length in batch:
                data = lab.content.draw(min(length, disk.size - at))
                content[at : at + len(data)] = data
                disk.write(offset=at, data=data)
            states.append((disk.snapshot(), bytes(content)))
        for snapshot, state in states:
            with snapshot.over_nbd() as export:
                for at, length in [*reads, (0, disk.size)]:
                    wanted = state[at : at + length]
                    assert_reads(export.read(at, len(wanted)), wanted, f"{len(wanted)} bytes at {at}")


@decides("EXPORT-02")
@old_and_new_clients
def test_a_disk_of_odd_size_reads_to_its_last_byte(lab: Lab, oldest: bool) -> None:  # noqa: FBT001  a parameter
    """A last block that is not whole is there up to its end, where the target has an SR that does not round sizes."""
    sr = "unrounded" if lab.capabilities["sr:unrounded"].present else MAIN
    with lab.precondition("a snapshot of odd size"):
        disk = lab.create_disk(sr=sr, size=2 * BLOCK + 512)
        content = lab.content.draw(disk.size)
        snapshot = disk.write(offset=0, data=content).snapshot()
    with lab.conditions.served_over_nbd():
        assert_exact(snapshot, first_address(snapshot), content, oldest=oldest)


@decides("EXPORT-02")
@needs(reach=Reach(LARGEST, disks=2))
def test_a_large_snapshot_reads_exactly_next_to_each_power_of_two(lab: Lab) -> None:
    """4 GiB among them: what is there is what was written there, and between is nothing."""
    with lab.precondition("a snapshot of a large disk"):
        disk = lab.create_disk(size=lab.largest_size())
        content = {block: lab.content.draw(BLOCK) for block in edges(disk.size)}
        write_sparse(disk, content, "chunked")
        snapshot = disk.snapshot()
    near = {block + by for block in content for by in (-1, 0, 1) if 0 <= block + by < block_count(disk.size)}
    with lab.conditions.served_over_nbd(), snapshot.over_nbd() as export:
        for block in sorted(near):
            at = block * BLOCK
            wanted = content.get(block, bytes(BLOCK))[: disk.size - at]
            assert_reads(export.read(at, len(wanted)), wanted, f"block {block}")


@decides("EXPORT-02")
def test_several_clients_read_at_once(lab: Lab) -> None:
    """In turns, on connections of their own, from two snapshots: none disturbs another."""
    first, content = snapshot_with_content(lab)
    second, other = snapshot_with_content(lab)
    for purpose in possible_purposes(lab):
        with lab.conditions.served_over_nbd(purpose), ExitStack() as opened:
            clients = [
                (opened.enter_context(served(snapshot)), state)
                for snapshot, state in [(first, content), (second, other)] * 3
            ]
            for at in range(0, SIZE, 8 * BLOCK):
                for number, (export, state) in enumerate(clients):
                    length = min(5 * BLOCK + number, SIZE - at)
                    assert_reads(export.read(at, length), state[at : at + length], f"{length} bytes at {at}")


@decides("EXPORT-02")
def test_an_export_takes_no_writes(lab: Lab) -> None:
    """A client that writes or erases all the same is refused, may read on, and nothing has changed."""
    snapshot, content = snapshot_with_content(lab)
    for purpose in possible_purposes(lab):
        with lab.conditions.served_over_nbd(purpose):
            with served(snapshot) as export:
                assert_write_refused(export, 0, lab.content.draw(BLOCK))
                assert_write_refused(export, BLOCK - 1, lab.content.draw(2))
                assert_erasing_refused(export, 0, BLOCK)
                assert_erasing_refused(export, BLOCK - 1, 2)
                assert_reads(export.read(), content, "what is read afterwards")
            assert_exact(snapshot, first_address(snapshot), content)


@decides("EXPORT-02")
def test_there_is_nothing_beyond_the_end(lab: Lab) -> None:
    """A client that reads there is told so, and may read on."""
    snapshot, content = snapshot_with_content(lab)
    for purpose in possible_purposes(lab):
        with lab.conditions.served_over_nbd(purpose), served(snapshot) as export:
            for at, length in ((export.size, 1), (export.size - 1, 2), (2**63, BLOCK)):
                assert_nothing_at(export, at, length)
            assert_reads(export.read(), content, "what is read afterwards")


@decides("EXPORT-02")
def test_what_is_written_meanwhile_stays_out_of_the_snapshot(lab: Lab) -> None:
    """The disk is written to between the reads, by its running VM where that can be had, and the snapshot stays."""
    with lab.precondition("a snapshot of a disk that is being written to"):
        disk = lab.create_disk(size=SIZE)
        if lab.capabilities["guest-write"].present:
            lab.create_vm(disk, power_state="Running")
        content = lab.content.draw(2 * BLOCK)
        snapshot = disk.write(offset=0, data=content).snapshot()
    with lab.conditions.served_over_nbd(), snapshot.over_nbd() as export:
        for _ in range(3):
            disk.write(blocks=(0, 1, 2))
            assert_reads(export.read(), content.ljust(snapshot.size, b"\0"), "the snapshot")


@decides("EXPORT-03")
def test_a_network_for_nbd_serves_over_tls_only(lab: Lab) -> None:
    """The certificate that comes with the address verifies the server; without TLS there is no export."""
    snapshot = some_snapshot(lab)
    with lab.conditions.served_over_nbd("nbd"):
        for at in addresses(snapshot):
            assert_opens(snapshot, at)
            with connected(lab, at) as client:
                try:
                    client.open(tls=False)
                except NbdRefused as refused:
                    told = refused.reply
                except NbdTrouble as trouble:
                    told = lab.mask(str(trouble))
                else:
                    told = "it opens"
            if told != "TLS_REQD":
                raise Violation("opening without TLS", expected=("refused with TLS_REQD",), actual=told)
            assert_refused_in_clear(lab, snapshot)
            assert_opens(snapshot, at)


def assert_refused_in_clear(lab: Lab, snapshot: Disk) -> None:
    """Expect that the oldest option, which knows no error, opens nothing without TLS either."""
    with connected(lab, first_address(snapshot)) as client:
        try:
            client.open(tls=False, oldest=True)
        except NbdTrouble:
            return
    raise Violation("opening by EXPORT_NAME without TLS", expected=("the connection ends",), actual="it opens")


@decides("EXPORT-03")
def test_a_network_for_insecure_nbd_serves_plainly(lab: Lab) -> None:
    """Without TLS the disk opens; a client that asks for TLS is told that there is none."""
    snapshot = some_snapshot(lab)
    with lab.conditions.served_over_nbd("insecure_nbd"):
        for at in addresses(snapshot):
            assert_opens(snapshot, at)
            with connected(lab, at) as client:
                try:
                    client.ask(STARTTLS)
                except NbdRefused:
                    pass
                else:
                    raise Violation("asking for TLS", expected=("refused",), actual="accepted")


@decides("EXPORT-03")
@both_purposes
def test_one_purpose_excludes_the_other(lab: Lab, purpose: Purpose) -> None:
    """The second one is refused on each network while one has the first, which goes on; alone each can be had."""
    snapshot = some_snapshot(lab)
    with lab.conditions.served_over_nbd(purpose):
        network = network_of(lab, purpose)
        refused = try_adding(lab, network, OTHER[purpose])
        lab.check(
            refused, refusals.incompatible_purposes(), f"adding {OTHER[purpose]} beside {purpose} must be refused"
        )
        now = lab.session.value("network.get_purpose", network)
        if now != [purpose]:
            raise Violation("after the refusal", expected=(f"the purpose {purpose} alone",), actual=str(now))
        assert_opens(snapshot, first_address(snapshot))
        for other in lab.session.value("network.get_all"):
            lab.check(
                try_adding(lab, other, OTHER[purpose]),
                refusals.incompatible_purposes(),
                f"adding {OTHER[purpose]} to any network must be refused while one has {purpose}",
            )
        assert_opens(snapshot, first_address(snapshot))
    with lab.conditions.served_over_nbd(OTHER[purpose]):
        assert_opens(snapshot, first_address(snapshot))


@decides("EXPORT-04")
@old_and_new_clients
def test_a_wrong_token_opens_nothing(lab: Lab, oldest: bool) -> None:  # noqa: FBT001  a parameter
    """Nor does a missing one; the right one does, before and after."""
    snapshot = some_snapshot(lab)
    for purpose in possible_purposes(lab):
        with lab.conditions.served_over_nbd(purpose):
            at = first_address(snapshot)
            token = token_of(at)
            assert_opens_for(lab, snapshot, at, oldest=oldest)
            wrong = ("", "OpaqueRef:NULL", f"OpaqueRef:{uuid.uuid4()}", token[:-1], f"{token}0", snapshot.ref)
            for other in wrong:
                altered = replace(at, name=at.name.replace(token, other))
                assert_refused(lab, altered, f"a token of {len(other)} characters that is no session's", oldest=oldest)
            assert_refused(lab, replace(at, name=at.name.partition("?")[0]), "a name without a token", oldest=oldest)
            assert_opens_for(lab, snapshot, at, oldest=oldest)


@decides("EXPORT-04")
def test_the_token_of_a_session_that_has_ended_opens_nothing(lab: Lab) -> None:
    """While the session lives its name opens, afterwards no more; another session's does all the while."""
    snapshot = some_snapshot(lab)
    for purpose in possible_purposes(lab):
        with lab.conditions.served_over_nbd(purpose):
            session = lab.open_session()
            at = first_address(snapshot, session)
            assert_opens_for(lab, snapshot, at)
            session.close()
            assert_refused(lab, at, "the session of this token has ended")
            assert_opens_for(lab, snapshot, first_address(snapshot))


@decides("EXPORT-04")
@old_and_new_clients
def test_an_unknown_disk_is_served_to_nobody(lab: Lab, oldest: bool) -> None:  # noqa: FBT001  a parameter
    """Neither one that never was, nor no disk, nor one that is gone; with the same token a known one is."""
    snapshot = some_snapshot(lab)
    for purpose in possible_purposes(lab):
        with lab.conditions.served_over_nbd(purpose):
            at = first_address(snapshot)
            gone = lab.create_disk()
            gone_at = first_address(gone)
            assert_opens_for(lab, gone, gone_at, oldest=oldest)
            gone.destroy()
            assert_refused(lab, gone_at, "this disk is destroyed", oldest=oldest)
            for unknown in (str(uuid.uuid4()), "", "..", snapshot.uuid[:-1]):
                altered = replace(at, name=at.name.replace(snapshot.uuid, unknown))
                assert_refused(lab, altered, f"no disk is called {unknown!r}", oldest=oldest)
            assert_opens_for(lab, snapshot, at, oldest=oldest)


@decides("EXPORT-04")
@pytest.mark.usefixtures("served_all_along")
@given(place=st.integers(0, 35), digit=st.sampled_from("0123456789abcdef"))
def test_a_token_with_one_other_digit_opens_nothing(lab: Lab, place: int, digit: str) -> None:
    """However like a session's it looks."""
    with lab.example():
        disk = lab.create_disk()
        at = first_address(disk)
        token = token_of(at)
        at_digit = len(token) - 1 - place % len(token)
        other = token[:at_digit] + digit + token[at_digit + 1 :]
        altered = replace(at, name=at.name.replace(token, other))
        if altered == at:
            assert_opens_for(lab, disk, at)
        else:
            assert_refused(lab, altered, "a token with another digit")
