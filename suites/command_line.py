"""What the documentation says of xe commands: the effect of the call, its refusals, and what they print."""

from collections.abc import Callable
from dataclasses import dataclass

from xencbt.fixtures.disks import Disk
from xencbt.fixtures.lab import Lab
from xencbt.harness.expectations import Expectation, refusals
from xencbt.harness.outcome import Failed, Ok
from xencbt.harness.verdicts import Violation
from xencbt.harness.xe_words import REFUSED, XeResult


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why switching CBT is refused: `disk` makes one that has it, `refusal` names that disk by reference or uuid."""

    disk: Callable[[Lab], Disk]
    refusal: Callable[[str], Expectation]


def _snapshot(lab: Lab, *, enabled: bool) -> Disk:
    source = lab.create_disk()
    return (source.enable_cbt() if enabled else source).snapshot()


OBSTACLES = {
    "wrong type": Obstacle(
        lambda lab: lab.create_disk(type="ephemeral"), lambda name: refusals.wrong_type("ephemeral", name)
    ),
    "a snapshot": Obstacle(lambda lab: _snapshot(lab, enabled=False), lambda _: refusals.is_a_snapshot()),
    "an enabled snapshot": Obstacle(lambda lab: _snapshot(lab, enabled=True), lambda _: refusals.is_a_snapshot()),
    "on_boot reset": Obstacle(lambda lab: lab.create_disk(on_boot="reset"), lambda _: refusals.on_boot_reset()),
    "metadata only": Obstacle(
        lambda lab: _snapshot(lab, enabled=True).data_destroy(),
        lambda name: refusals.metadata_only(name, ordered=False),
    ),
}
"""Obstacles that a disk on the run's own SR can have."""


def switch(lab: Lab, operation: str, uuid: str) -> XeResult:
    """Run the command of `operation` (`enable_cbt` or `disable_cbt`) for the VDI `uuid`."""
    return lab.xe(f"vdi-{operation.replace('_', '-')}", f"uuid={uuid}")


def status(lab: Lab, uuid: str) -> XeResult:
    """Ask for the status of the VDI `uuid`."""
    return lab.xe("vdi-param-get", "param-name=cbt-enabled", f"uuid={uuid}")


def assert_printed(result: XeResult, expected: str) -> None:
    """Expect that a command succeeded and printed exactly `expected`; raises Violation."""
    wanted = (f"exit 0, printing {expected!r}",)
    if result.exit_code != 0:
        actual = f"exit {result.exit_code}: {result.stderr.strip()}"
        raise Violation("the xe command was refused", expected=wanted, actual=actual)
    if result.stdout != expected:
        actual = f"exit 0, printing {result.stdout!r}"
        raise Violation("the xe command printed something else", expected=wanted, actual=actual)


def assert_refused(lab: Lab, result: XeResult, expectation: Expectation, what: str) -> Failed:
    """Expect that a command was refused so, exited with 1 and gave no result; raises Violation."""
    outcome = result.outcome
    if isinstance(outcome, Ok):
        words = expectation.words(lab.profile)
        raise Violation(f"{what} must be refused", expected=words, actual=f"exit 0, printing {result.stdout!r}")
    lab.check(outcome, expectation, what)
    assert isinstance(outcome, Failed)
    if result.exit_code != REFUSED or result.stdout:
        raise Violation(
            f"{what} was refused, but not as commands are refused",
            expected=(f"exit {REFUSED}, printing nothing on standard output",),
            actual=f"exit {result.exit_code}, printing {result.stdout!r}",
        )
    return outcome


def assert_same_refusal(disk: Disk, operation: str, refusal: Callable[[str], Expectation]) -> None:
    """Expect that the call and the command are refused alike, and that neither changes anything; raises Violation.

    The call names a disk by its reference, the command by its uuid.
    """
    lab = disk.lab
    lab.require("xe")
    by_call = lab.refuses(disk, operation, expectation=refusal(disk.ref))
    with lab.unchanged(disk, after="a refused xe command"):
        what = f"xe for {operation}"
        by_xe = assert_refused(lab, switch(lab, operation, disk.uuid), refusal(disk.uuid), what)
    if by_xe.code != by_call.code:
        raise Violation(
            "call and command are refused for different reasons", expected=(by_call.code,), actual=by_xe.code
        )


def assert_unknown_uuid_refused(lab: Lab, result: XeResult, uuid: str) -> None:
    """Expect that a command was refused as resolving an unknown `uuid` is; raises Violation."""
    expectation = refusals.unknown_uuid(uuid)
    lab.check(lab.session.call("VDI.get_by_uuid", uuid), expectation, "VDI.get_by_uuid of a VDI that does not exist")
    assert_refused(lab, result, expectation, "xe for a VDI that does not exist")


def obstructed(lab: Lab, name: str) -> tuple[Disk, Callable[[str], Expectation]]:
    """Make a disk with the obstacle `name`: it, and how a refusal names it. Raises Blocked where it cannot be made."""
    with lab.precondition(f"a disk with the obstacle: {name}"):
        return OBSTACLES[name].disk(lab), OBSTACLES[name].refusal


def storage_obstacles(lab: Lab) -> list[tuple[Disk, Callable[[str], Expectation]]]:
    """Return disks on whichever SRs the target has that refuse to switch CBT, always one among them that it has."""
    found = [obstructed(lab, "wrong type")]
    if "no-cbt" in lab.bench.repositories:
        sr = lab.sr("no-cbt")
        named = {"ref": sr.ref, "uuid": sr.uuid}
        disk = lab.create_disk(sr="no-cbt")
        found.append((disk, lambda name: refusals.driver_without_cbt(named["ref" if name == disk.ref else "uuid"])))
    if "no-pbd" in lab.bench.repositories:
        found.append((lab.seeded_disk("no-pbd"), lambda _: refusals.sr_not_attached()))
    return found
