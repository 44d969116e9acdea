"""Deliberate disturbances as pure data: kinds of fault, plans, which call they hit, and receipts that they fired.

Nothing here opens a socket: `xencbt.proxies` (and the emulated host) carries faults out.
"""

from xencbt.harness.faults.answer_lost import AnswerLost
from xencbt.harness.faults.calls import Call, canonical, read_call
from xencbt.harness.faults.duplicate import Duplicate
from xencbt.harness.faults.kinds import KINDS, Fault, FaultError, Kind, Phase, kind_of
from xencbt.harness.faults.plans import Plan, PlanError, Planned
from xencbt.harness.faults.receipts import Firing, Receipt, require_fired
from xencbt.harness.faults.request_dropped import RequestDropped
from xencbt.harness.faults.watch import Strike, Watch

__all__ = [
    "KINDS",
    "AnswerLost",
    "Call",
    "Duplicate",
    "Fault",
    "FaultError",
    "Firing",
    "Kind",
    "Phase",
    "Plan",
    "PlanError",
    "Planned",
    "Receipt",
    "RequestDropped",
    "Strike",
    "Watch",
    "canonical",
    "kind_of",
    "read_call",
    "require_fired",
]
