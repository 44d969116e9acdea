"""Everything at once: what is promised holds whatever was done before, in whichever order, to whatever lies beside.

Only those rows are decided here that every run of the machine is sure to try. Any other that it finds broken is named,
and fails; but it is for the chapters to pass them.
"""

from typing import TYPE_CHECKING

from xencbt.harness.decides import decides
from xencbt.harness.needs import needs
from xencbt.harness.verdicts import NotExercised
from xencbt.suites.faulty import FaultyMachine
from xencbt.suites.machine import MAY_USE, Machine

if TYPE_CHECKING:
    from xencbt.fixtures.lab import Lab
    from xencbt.harness.disturbing import Faults
    from xencbt.harness.searching import Search


pytestmark = needs("raw-import", "raw-export", optional=MAY_USE)
"""Every test of this chapter writes to disks, and reads them; what else it makes use of is the machine's choice."""


@decides("ENABLE-02", "STATUS-01", "LIST-01", "LIST-02", "LIST-06", "LIST-08", "LIST-10", "LIFE-01")
def test_the_promises_hold_whatever_is_done(lab: "Lab", search: "Search") -> None:
    """No change is lost, no relation lost or invented, and every status is right, after each step of any sequence."""
    search.run(lambda: Machine(lab))


@decides("FAULT-01", "FAULT-03")
@needs("faults")
def test_the_promises_hold_whatever_is_done_with_faults(lab: "Lab", faults: "Faults", search: "Search") -> None:
    """Calls go unanswered, unsent, refused and doubled among all others: each happened completely or not at all."""
    session, struck = faults.session(), 0

    class Counted(FaultyMachine):
        def teardown(self) -> None:
            nonlocal struck
            struck += len(self.world.struck)
            super().teardown()

    search.run(lambda: Counted(lab, faults, session), share=2)
    if not struck:
        raise NotExercised("no call met a fault")


@decides("LIST-03")
def test_only_what_was_written_is_marked_whatever_is_done(lab: "Lab", search: "Search") -> None:
    """A block never written between two states is not marked, and two steps show what one step shows."""
    search.run(lambda: Machine(lab, precise=True), share=2)
