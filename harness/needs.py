"""What a test needs, as data: a plan reads it without running anything, setup holds the test to it.

A name is a capability, a consent, or both: `vm-power` asks whether VMs can start, and whether we may start some.

For those who write suites. A test without marks needs what every test needs (OF_EVERY_TEST), and nothing is held
against it: what it asks for at run time (`lab.require`, `lab.consent`, …) is still refused where it is not there or
was not allowed, but no plan can show it. So say it, at the test, at a parameter, or for a module at once:

    pytestmark = needs("raw-import", "raw-export")     # every test writes to disks (raw-import) and reads them

    @decides("LIFE-06")
    @needs("vm-power", "guest-write", "crash")          # starts a VM, has its guest write, crashes the host
    @decides("EXPORT-01")
    @needs("network-purpose")                           # gives a network a purpose and takes it away again
    @decides("LIFE-03")
    @needs("migrate", "sr:second", "vm-power")          # migrates a disk of a running VM to another SR
    @needs(optional=["vm-power"])                       # draws running VMs where it may: asks `lab.offers("vm-power")`
    @decides("LIST-02")
    @needs(reach=Reach(LARGEST, disks=4))               # disks as large as it may: asks `lab.largest_size()`

Before anything is done that takes consent, the test calls `lab.consent("migrate")` (or the fixture does that it uses):
it raises Unsupported where host or role cannot do it, NotRun where nobody allowed it. Once a test says anything by
`@needs`, it is held to it: to ask for what was not declared is an error, so that no plan is a promise broken. The names
are those of `capabilities.PROBED` (`xencbt plan --json` lists them) and of `consents.CONSENTS`.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import pytest

from xencbt.harness.capabilities import Capability
from xencbt.harness.consents import CONSENTS
from xencbt.harness.errors import HarnessError
from xencbt.harness.sizes import Reach
from xencbt.harness.verdicts import NotRun, Undecided, Unsupported

OF_ANY_TARGET = frozenset({"role"})
"""What every test needs, also one that says `any_target`."""

NAMED_SR = "sr:"
"""How the capabilities begin that are SRs which the user names: that one is absent says nothing of the target."""

OF_EVERY_TEST = OF_ANY_TARGET | {"cbt-calls", "cbt-licensed", "sr-cbt"}
"""What a test needs that does not say `any_target`."""


def needs(*names: str, optional: Collection[str] = (), reach: Reach | None = None) -> pytest.MarkDecorator:
    """Mark a test with the capabilities and consents it cannot do without, and those that widen what it draws.

    `reach` is for disks above 1 GiB: how far the test goes where it may, and asks by `lab.largest_size()`.

    >>> @decides("ENABLE-06")
    ... @needs("vm-power", "guest-write")
    ... def test_what_the_guest_writes_later_is_recorded(disk): ...
    """
    return pytest.mark.needs(*names, optional=tuple(optional), reach=reach)


@dataclass(frozen=True, slots=True)
class Needs:
    """The capabilities and consents that a test cannot do without, and those it makes use of where they are there."""

    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    reach: Reach | None = None

    @classmethod
    def of(cls, marks: Iterable[pytest.Mark]) -> "Needs":
        """Read the marks of a test, its module and its parameters, the nearest first."""
        known = tuple(marks)
        declared = [mark for mark in known if mark.name == "needs"]
        everywhere = any(mark.name == "any_target" for mark in known)
        required = frozenset(name for mark in declared for name in mark.args)
        required |= OF_ANY_TARGET if everywhere else OF_EVERY_TEST
        optional = frozenset(name for mark in declared for name in mark.kwargs.get("optional", ()))
        reaches = [mark.kwargs["reach"] for mark in declared if mark.kwargs.get("reach") is not None]
        return cls(required, optional - required, reaches[0] if reaches else None)

    @property
    def declared(self) -> frozenset[str]:
        """Everything the test may ask for."""
        return self.required | self.optional

    @property
    def consents(self) -> frozenset[str]:
        """The consents among what the test cannot do without."""
        return self.required & CONSENTS.keys()

    def lacking(self, capabilities: Mapping[str, Capability], consents: Collection[str]) -> Undecided | None:
        """Say why the test cannot run: Unsupported (the target lacks something) before NotRun (not named, no consent).

        Raises HarnessError for a name that is neither a capability nor a consent.
        """
        unknown = sorted(self.declared - capabilities.keys() - CONSENTS.keys())
        if unknown:
            raise HarnessError(f"no capability or consent is called {', '.join(unknown)}")
        absent = [
            capabilities[name]
            for name in sorted(self.required)
            if name in capabilities and not capabilities[name].present
        ]
        lacks = [capability for capability in absent if not _is_ours_to_name(capability)]
        if lacks:
            return Unsupported("; ".join(dict.fromkeys(capability.detail for capability in lacks)))
        withheld = sorted(self.consents - set(consents))
        ours = [str(absence(capability)) for capability in absent]
        ours += [f"needs consent: --allow {','.join(withheld)}"] if withheld else []
        return NotRun("; ".join(ours)) if ours else None


def absence(capability: Capability) -> Undecided:
    """Return what it means that a capability is absent: the target lacks it, or nobody named an SR of that kind."""
    if _is_ours_to_name(capability):
        return NotRun(f"{capability.detail}: --sr-kind {capability.name.removeprefix(NAMED_SR)}=SR_UUID")
    return Unsupported(capability.detail)


def _is_ours_to_name(capability: Capability) -> bool:
    return capability.name.startswith(NAMED_SR)


def usable(name: str, capabilities: Mapping[str, Capability], consents: Collection[str]) -> bool:
    """Return whether a capability is there and, where it takes consent, consent was given."""
    present = capabilities[name].present if name in capabilities else name in CONSENTS
    return present and (name not in CONSENTS or name in consents)
