"""Carries out errors of the API, and tasks that go wrong."""

from http import HTTPStatus

from xencbt.harness.faults import ApiError, Call, HostIsSlave, SessionInvalid, TaskFailed, TaskNeverEnds
from xencbt.harness.faults.refusals import TASK_ERROR
from xencbt.harness.outcome import Ok
from xencbt.proxies.carriers.registry import carries
from xencbt.proxies.delivery import Delivery
from xencbt.proxies.wording import failure, success

TASK_NAME = "xencbt fault"


@carries(ApiError)
async def refuse(fault: ApiError, delivery: Delivery) -> None:
    """Answer with the error, in the dialect of the call."""
    call = delivery.call
    code, params = fault.details(call.session or "", call.named, call.operation)
    _refuse(delivery, code, params)


@carries(SessionInvalid)
async def end_session(_fault: SessionInvalid, delivery: Delivery) -> None:
    """Say that the session is none."""
    _refuse(delivery, "SESSION_INVALID", (delivery.call.session or "",))


@carries(HostIsSlave)
async def point_at_itself(_fault: HostIsSlave, delivery: Delivery) -> None:
    """Name the address that was called as the master's."""
    _refuse(delivery, "HOST_IS_SLAVE", (delivery.address,))


@carries(TaskFailed)
async def fail_task(_fault: TaskFailed, delivery: Delivery) -> None:
    """Have the host make a task, let it fail, and hand it to the client."""
    task = await _task(delivery)
    if task is None:
        return
    for method, value in (("task.set_error_info", [TASK_ERROR, TASK_NAME]), ("task.set_status", "failure")):
        if not isinstance(await delivery.ask(method, task, value), Ok):
            delivery.failed(f"the host refused {method}")
            return
    _hand_over(delivery, task)


@carries(TaskNeverEnds)
async def leave_task(_fault: TaskNeverEnds, delivery: Delivery) -> None:
    """Have the host make a task that nobody works on, and hand it to the client; it is removed when healed."""
    task = await _task(delivery)
    if task is not None:
        _hand_over(delivery, task)


async def _task(delivery: Delivery) -> str | None:
    """Return a new pending task of the host's; None, and the fault noted as failed, where there can be none."""
    call: Call = delivery.call
    if not call.asynchronous:
        delivery.failed(f"{call.spelled} answers with no task: only Async calls do")
        return None
    made = await delivery.ask("task.create", TASK_NAME, call.spelled)
    if isinstance(made, Ok) and isinstance(made.value, str):
        task = made.value
        delivery.at_heal(lambda: delivery.ask("task.destroy", task))
        return task
    delivery.failed(f"the host made no task: {made}")
    return None


def _hand_over(delivery: Delivery, task: str) -> None:
    delivery.fired(delivery.answer)
    delivery.reply(HTTPStatus.OK, *success(delivery.call, task))


def _refuse(delivery: Delivery, code: str, params: tuple[str, ...]) -> None:
    delivery.fired(delivery.answer)
    delivery.reply(HTTPStatus.OK, *failure(delivery.call, code, params))
