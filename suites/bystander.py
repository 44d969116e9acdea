"""A tracked disk beside the one that is disturbed: nothing that happens to others may touch it."""

from xencbt.fixtures.lab import Lab
from xencbt.fixtures.unchanged import assert_unchanged
from xencbt.harness.expectations import SUCCESS
from xencbt.harness.session import Session
from xencbt.harness.verdicts import Violation
from xencbt.suites.executions import Executions
from xencbt.suites.listing import block_map

ENABLE, DISABLE = "VDI.enable_cbt", "VDI.disable_cbt"


class Bystander:
    """A tracked disk with a recorded change.

    It is switched by calls of `session`, which faults are to strike later: without this positive control a lost answer
    proves nothing. Raises Blocked where these do not work undisturbed.
    """

    def __init__(self, lab: Lab, session: Session) -> None:
        with lab.precondition("undisturbed calls through the interceptor, and a tracked disk beside the disturbed one"):
            self._disk, executions = lab.create_disk(), Executions(lab, session)
            for method in (ENABLE, DISABLE, ENABLE):
                before = executions.of(method)
                lab.check(session.call(method, self._disk.ref), SUCCESS, f"{method} through the interceptor")
                executions.judge(method, before, 1)
                if self._disk.cbt_enabled is not (method == ENABLE):
                    raise Violation(f"{method} had no effect", expected=(str(method == ENABLE),), actual="the opposite")
            self._baseline = self._disk.snapshot()
            self._recorded = self._baseline.changed_blocks_to(self._disk.write(block=3))
            self._record = self._disk.record()

    def assert_as_before(self, what: str) -> None:
        """Expect that its record is as it was before `what`, and that all its recorded changes are still listed."""
        assert_unchanged(self._record, self._disk.record(), what)
        recorded = self._baseline.changed_blocks_to(self._disk)
        if not recorded.keeps(self._recorded):
            raise Violation(
                f"another disk's recorded changes moved by {what}",
                expected=(str(self._recorded),),
                actual=str(recorded),
                block_map=block_map(recorded, self._recorded.blocks, self._baseline, self._disk),
            )
