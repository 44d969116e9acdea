"""What an answer says that only a fault sees: a lost one, or the one to a second delivery."""

from http import HTTPStatus

import XenAPI

from xencbt.harness.answers import decode, unwrap
from xencbt.harness.outcome import Failed, Indeterminate, Ok, Outcome
from xencbt.harness.transport import Garbled


def outcome_of(status: int, body: bytes) -> Outcome:
    """Read an HTTP status and an XML-RPC body as an outcome; whatever cannot be read is Indeterminate. Never raises."""
    if status != HTTPStatus.OK:
        return Indeterminate(f"HTTP {status}")
    try:
        values = decode(body)
        answer = values[0] if values else None
        return Ok(answer) if isinstance(answer, list) else Ok(unwrap(answer))  # system.listMethods: a bare array
    except XenAPI.Failure as failure:
        code, *params = map(str, failure.details)
        return Failed(code, tuple(params))
    except Garbled as garbled:
        return Indeterminate(str(garbled))
