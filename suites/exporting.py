"""Exports as the chapter about NBD looks at them: which addresses there must be, and what must not open."""

from urllib.parse import parse_qs, urlsplit

from xencbt.fixtures.disks import Disk
from xencbt.fixtures.exports import ServedDisk, addresses, connected, is_secured, served
from xencbt.fixtures.lab import Lab
from xencbt.harness.nbd import NbdAddress, NbdClosed
from xencbt.harness.nbd_protocol import NbdFailed, NbdRefused, NbdTrouble
from xencbt.harness.session import Session
from xencbt.harness.verdicts import Violation

FIRST_BYTES = 4096

NOT_ABOUT_THE_EXPORT = frozenset({"UNSUP", "INVALID", "TLS_REQD", "BLOCK_SIZE_REQD"})
"""Answers that say no to how an export was asked for, and nothing about the export."""


def reachable_addresses(disk: Disk) -> set[str]:
    """Work out from the records of hosts and networks where `disk` is served (EXPORT-01).

    That is on each address of a card that is up, on a network with a purpose, of a host that is plugged to its SR.
    """
    session = disk.lab.session
    networks = session.value("network.get_all_records")
    cards = session.value("PIF.get_all_records").values()
    pbds = [session.value("PBD.get_record", ref) for ref in session.value("SR.get_PBDs", disk.record()["SR"])]
    hosts = {pbd["host"] for pbd in pbds if pbd["currently_attached"]}
    return {
        address.partition("/")[0]
        for card in cards
        if card["currently_attached"] and card["host"] in hosts and networks[card["network"]].get("purpose")
        for address in (card["IP"], *card["IPv6"])
        if address
    }


def first_address(disk: Disk, session: Session | None = None) -> NbdAddress:
    """Return the first address at which `disk` is served, for `session`; raises Violation where there is none."""
    found = addresses(disk, session)
    if not found:
        raise Violation("a network has a purpose for NBD", expected=("an address for the disk",), actual="none")
    return found[0]


def assert_records(disk: Disk) -> None:
    """Expect one record for each address where `disk` can be reached, and that each names the disk (EXPORT-01)."""
    found = addresses(disk)
    told, expected = sorted(at.address for at in found), sorted(reachable_addresses(disk))
    if told != expected or not told:
        raise Violation("VDI.get_nbd_info", expected=(f"one record for each of {expected}",), actual=str(told))
    for at in found:
        assert_named(at, disk)


def assert_named(at: NbdAddress, disk: Disk) -> None:
    """Expect that the export is named after the disk, and carries a session (EXPORT-04)."""
    parts = urlsplit(at.name)
    tokens = parse_qs(parts.query).get("session_id", [])
    if parts.path != f"/{disk.uuid}" or len(tokens) != 1 or not tokens[0]:
        raise Violation(
            "the export name says which disk, and for which session",
            expected=(f"/{disk.uuid}?session_id=…",),
            actual=disk.lab.mask(at.name),
        )


def token_of(at: NbdAddress) -> str:
    """Return the session that an export name carries, empty where it carries none."""
    return parse_qs(urlsplit(at.name).query).get("session_id", [""])[0]


def assert_refused(lab: Lab, at: NbdAddress, what: str, *, oldest: bool = False) -> None:
    """Expect that the server lets nobody in under the name of `at` (EXPORT-04); `what` says why not.

    It answers with an error about the export, or it closes the connection, which is the only way to refuse the oldest
    option. Who calls shows that a good name opens at the same address.
    """
    expected = ("the export is refused",)
    with connected(lab, at) as client:
        try:
            client.open(tls=is_secured(lab), oldest=oldest)
        except NbdRefused as refused:
            if refused.reply in NOT_ABOUT_THE_EXPORT:
                raise Violation(what, expected=expected, actual=str(refused)) from refused
            return
        except NbdClosed:
            return
        except NbdTrouble as trouble:
            raise Violation(what, expected=expected, actual=lab.mask(str(trouble))) from trouble
    raise Violation(what, expected=expected, actual="it opens")


def assert_opens(disk: Disk, at: NbdAddress, *, oldest: bool = False) -> None:
    """Expect that the disk opens at `at` and gives its first bytes, whichever they are (EXPORT-01, EXPORT-03)."""
    with served(disk, at, oldest=oldest) as export:
        export.read(0, min(FIRST_BYTES, export.size))


def assert_opens_for(lab: Lab, disk: Disk, at: NbdAddress, *, oldest: bool = False) -> None:
    """Show, beside refusals, that the same server lets in who is right; raises Blocked where it does not."""
    with lab.precondition("a name that opens"):
        assert_opens(disk, at, oldest=oldest)


def assert_exact(disk: Disk, at: NbdAddress, content: bytes, *, oldest: bool = False) -> None:
    """Expect that the disk opens at `at`, reads as `content`, and takes no writes (EXPORT-02)."""
    with served(disk, at, oldest=oldest) as export:
        if not export.read_only:
            raise Violation("the export is read-only", expected=("its flag says so",), actual="it does not")
        if export.size != len(content):
            raise Violation("the size of the export", expected=(f"{len(content)} bytes",), actual=str(export.size))
        assert_reads(export.read(), content, "what NBD gives")


def assert_write_refused(export: ServedDisk, offset: int, data: bytes) -> None:
    """Expect that a client that writes all the same is told EPERM, which the protocol asks of a read-only export."""
    try:
        export.client.write(offset, data)
    except NbdFailed as failed:
        told = failed.errno
    except NbdTrouble as trouble:
        told = str(trouble)
    else:
        told = "success"
    if told != "EPERM":
        raise Violation("writing to a read-only export", expected=("EPERM",), actual=told)


def assert_erasing_refused(export: ServedDisk, offset: int, length: int) -> None:
    """Expect an error, whichever, to commands that would leave zeros: servers of old know none of them."""
    for what, command in (("TRIM", export.client.trim), ("WRITE_ZEROES", export.client.write_zeroes)):
        try:
            command(offset, length)
        except NbdFailed:
            continue
        except NbdTrouble as trouble:
            told = str(trouble)
        else:
            told = "success"
        raise Violation(f"{what} on a read-only export", expected=("an error",), actual=told)


def assert_nothing_at(export: ServedDisk, offset: int, length: int) -> None:
    """Expect that a range which leaves the export is answered with an error, whichever."""
    try:
        told = f"{len(export.client.read(offset, length))} bytes"
    except NbdFailed:
        return
    except NbdTrouble as trouble:
        told = str(trouble)
    raise Violation(f"reading {length} bytes at {offset} of {export.size}", expected=("an error",), actual=told)


def assert_reads(actual: bytes, content: bytes, what: str) -> None:
    """Expect the very bytes; raises Violation that says where the first other one is."""
    if actual == content:
        return
    first = next(
        (at for at, (one, other) in enumerate(zip(actual, content, strict=False)) if one != other),
        min(len(actual), len(content)),
    )
    raise Violation(
        f"{what} is not exact", expected=(f"{len(content)} bytes as they were",), actual=f"another byte at {first}"
    )
