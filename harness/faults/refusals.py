"""Errors of the API answered in place of the real call, or in place of the real answer, and tasks that go wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from xencbt.harness.faults.kinds import Fault, FaultError, Layer, Phase, fault

OBJECT, SESSION, OPERATION = "{object}", "{session}", "{operation}"
"""What stands in a parameter for the first object that the call names, its session, the call without its class."""


def _storage(number: int, description: str, why: str = "") -> tuple[str, tuple[str, ...]]:
    return f"SR_BACKEND_FAILURE_{number}", ("", f"{description} [opterr={why}]" if why else description, "")


API_ERRORS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    dict(
        [
            _storage(44, "There is insufficient space"),
            _storage(46, "The VDI is not available", "VDI already attached RW"),
            _storage(457, "Unable to activate changed block tracking.", "failed to pause the VDI"),
            _storage(458, "Unable to deactivate changed block tracking.", "failed to pause the VDI"),
            _storage(459, "Changed block tracking log is in an inconsistent state.", "the log is inconsistent"),
            _storage(460, "Failed to calculate changed blocks for given VDIs.", "Source and target VDI are unrelated"),
            ("SR_HAS_NO_PBDS", (OBJECT,)),
            ("SR_NOT_ATTACHED", (OBJECT,)),
            ("VDI_IN_USE", (OBJECT, OPERATION)),
            ("OTHER_OPERATION_IN_PROGRESS", ("VDI", OBJECT, OPERATION)),
            ("TOO_MANY_PENDING_TASKS", ()),
            ("HOST_OFFLINE", (OBJECT,)),
            ("INTERNAL_ERROR", ("Xapi_exceptions.End_of_file",)),
            ("SESSION_INVALID", (SESSION,)),
            ("HANDLE_INVALID", ("VDI", OBJECT)),
        ]
    )
)
"""Errors with parameters as real hosts give them."""


@fault("api-error", Phase.BEFORE, Phase.AFTER, layer=Layer.API)
@dataclass(frozen=True, slots=True)
class ApiError(Fault):
    """The client gets the API error `code`: in place of the call, or in place of its answer after the host acted.

    `params` are its parameters; none given means those of the table `API_ERRORS`.
    """

    code: str = "INTERNAL_ERROR"
    params: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.code.replace("_", "").isalnum() or not self.code.isupper():
            raise FaultError("code", f"must be an error code of the API like VDI_IN_USE, not {self.code!r}")

    def details(self, session: str, named: str, operation: str) -> tuple[str, tuple[str, ...]]:
        """Return code and parameters for a call of `operation` in `session` that names the object `named`."""
        values = {OBJECT: named or "OpaqueRef:NULL", SESSION: session, OPERATION: operation}
        params = self.params or API_ERRORS.get(self.code, ())
        return self.code, tuple(values.get(param, param) for param in params)


@fault("session-invalid", Phase.BEFORE, layer=Layer.API)
@dataclass(frozen=True, slots=True)
class SessionInvalid(Fault):
    """The call is answered SESSION_INVALID, as if the session had timed out; the host does not see it."""


@fault("host-is-slave", Phase.BEFORE, layer=Layer.API)
@dataclass(frozen=True, slots=True)
class HostIsSlave(Fault):
    """The call is answered HOST_IS_SLAVE, and the master it names is the very address that was called: a loop."""


TASK_ERROR = "INTERNAL_ERROR"
"""The code that a failed task carries."""


@fault("task-failed", Phase.BEFORE, layer=Layer.API)
@dataclass(frozen=True, slots=True)
class TaskFailed(Fault):
    """An `Async` call is answered with a task of the host's that has failed; the call itself never runs."""


@fault("task-never-ends", Phase.BEFORE, Phase.AFTER, layer=Layer.API)
@dataclass(frozen=True, slots=True)
class TaskNeverEnds(Fault):
    """An `Async` call is answered with a task of the host's that stays pending; the call itself ran, or never runs."""
