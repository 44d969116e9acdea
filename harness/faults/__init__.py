"""Deliberate disturbances as pure data: kinds of fault, plans, which call they hit, and receipts that they fired.

Nothing here opens a socket: `xencbt.proxies` carries faults out, and the emulated host, told by
`xencbt.fixtures.disasters`.
"""

from xencbt.harness.faults.answers import (
    EmptyAnswer,
    HttpStatus,
    MalformedAnswer,
    SlowDrip,
    TruncatedAnswer,
    WrongLength,
)
from xencbt.harness.faults.calls import Call, Dialect, canonical, read_call
from xencbt.harness.faults.deliveries import (
    AnswerLost,
    Blackhole,
    ConnectionReset,
    ConnectionsRefused,
    Delay,
    Duplicate,
    LateDuplicate,
    Reordered,
    RequestDropped,
    WrongCertificate,
)
from xencbt.harness.faults.kinds import KINDS, Fault, FaultError, Kind, Layer, Phase, kind_of
from xencbt.harness.faults.lab import LabCommand, LabFailed, in_the_lab
from xencbt.harness.faults.plans import Plan, PlanError, Planned
from xencbt.harness.faults.receipts import Firing, Receipt, require_fired
from xencbt.harness.faults.refusals import (
    API_ERRORS,
    ApiError,
    HostIsSlave,
    SessionInvalid,
    TaskFailed,
    TaskNeverEnds,
)
from xencbt.harness.faults.seeing import Seen, hangs, hides, seen, shown_code
from xencbt.harness.faults.storage import (
    LogDamaged,
    NbdDisturbed,
    NoSpaceForLog,
    PauseRefused,
    PbdUnplugged,
    PowerCut,
    SrReadOnly,
)
from xencbt.harness.faults.watch import Strike, Watch

__all__ = [
    "API_ERRORS",
    "KINDS",
    "AnswerLost",
    "ApiError",
    "Blackhole",
    "Call",
    "ConnectionReset",
    "ConnectionsRefused",
    "Delay",
    "Dialect",
    "Duplicate",
    "EmptyAnswer",
    "Fault",
    "FaultError",
    "Firing",
    "HostIsSlave",
    "HttpStatus",
    "Kind",
    "LabCommand",
    "LabFailed",
    "LateDuplicate",
    "Layer",
    "LogDamaged",
    "MalformedAnswer",
    "NbdDisturbed",
    "NoSpaceForLog",
    "PauseRefused",
    "PbdUnplugged",
    "Phase",
    "Plan",
    "PlanError",
    "Planned",
    "PowerCut",
    "Receipt",
    "Reordered",
    "RequestDropped",
    "Seen",
    "SessionInvalid",
    "SlowDrip",
    "SrReadOnly",
    "Strike",
    "TaskFailed",
    "TaskNeverEnds",
    "TruncatedAnswer",
    "Watch",
    "WrongCertificate",
    "WrongLength",
    "canonical",
    "hangs",
    "hides",
    "in_the_lab",
    "kind_of",
    "read_call",
    "require_fired",
    "seen",
    "shown_code",
]
