"""Answers in the host's own words: the interceptor's, where a fault speaks in its place."""

import json
from collections.abc import Sequence
from xml.sax.saxutils import escape

from xencbt.harness.faults import Call, Dialect

XML, JSON = "text/xml", "application/json"
HEAD = "<?xml version='1.0'?><methodResponse><params><param><value><struct>"
TAIL = "</struct></value></param></params></methodResponse>"


def success(call: Call, value: str) -> tuple[bytes, str]:
    """Return the answer to `call` that says `value`: body and content type."""
    if call.dialect is Dialect.JSON:
        return _json(call, result=value)
    return _xml(Status=_text("Success"), Value=_text(value))


def failure(call: Call, code: str, params: Sequence[str]) -> tuple[bytes, str]:
    """Return the answer to `call` that refuses it with `code` and `params`: body and content type."""
    if call.dialect is Dialect.JSON:
        return _json(call, error={"code": 1, "message": code, "data": list(params)})
    described = "".join(_text(each) for each in (code, *params))
    return _xml(Status=_text("Failure"), ErrorDescription=f"<value><array><data>{described}</data></array></value>")


def request(method: str, params: Sequence[str | Sequence[str]]) -> bytes:
    """Return the body of an XML-RPC call."""
    values = "".join(f"<param>{_value(param)}</param>" for param in params)
    return (
        f"<?xml version='1.0'?><methodCall><methodName>{escape(method)}</methodName>"
        f"<params>{values}</params></methodCall>"
    ).encode()


def _value(param: str | Sequence[str]) -> str:
    if isinstance(param, str):
        return _text(param)
    return f"<value><array><data>{''.join(map(_text, param))}</data></array></value>"


def _text(value: str) -> str:
    return f"<value>{escape(value)}</value>"


def _xml(**members: str) -> tuple[bytes, str]:
    inside = "".join(f"<member><name>{name}</name>{value}</member>" for name, value in members.items())
    return f"{HEAD}{inside}{TAIL}".encode(), XML


def _json(call: Call, **answer: object) -> tuple[bytes, str]:
    return json.dumps({"jsonrpc": "2.0", **answer, "id": call.number}).encode(), JSON
