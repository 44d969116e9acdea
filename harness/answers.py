"""Reading XML-RPC answers of a target that is not trusted: no DTD, no entities, bounded depth, plain values."""

import xmlrpc.client
from collections.abc import Mapping
from typing import Any
from xml.parsers.expat import ExpatError

import XenAPI
from defusedxml.xmlrpc import DefusedExpatParser

from xencbt.harness.transport import Garbled

MAX_DEPTH = 64
"""Nested elements an answer may have; a record in a map in an event batch needs about 20."""

_MALFORMED = (ExpatError, ValueError, LookupError, TypeError, AttributeError, xmlrpc.client.ResponseError)


_STANDARD = xmlrpc.client.Unmarshaller.dispatch
DISPATCH = {tag: end for tag, end in _STANDARD.items() if tag != "bigdecimal"} | {
    "dateTime.iso8601": _STANDARD["string"]
}


class _Unmarshaller(xmlrpc.client.Unmarshaller):
    """The standard unmarshaller with a limit on depth, and times left as the text the host wrote."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0
        self.dispatch = DISPATCH

    def start(self, tag: str, attrs: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ValueError(f"more than {MAX_DEPTH} nested elements")
        super().start(tag, attrs)

    def end(self, tag: str) -> None:
        self._depth -= 1
        super().end(tag)


def decode(body: bytes) -> tuple[Any, ...]:
    """Return the values of one XML-RPC answer; raises Garbled on anything that is none."""
    unmarshaller = _Unmarshaller()
    parser = DefusedExpatParser(unmarshaller, forbid_dtd=True)
    try:
        parser.feed(body)
        parser.close()
        values: tuple[Any, ...] = unmarshaller.close()
    except xmlrpc.client.Fault as fault:
        raise Garbled(f"XML-RPC fault {fault.faultCode}: {fault.faultString}") from fault
    except _MALFORMED as error:
        raise Garbled(f"not an XML-RPC answer ({type(error).__name__}: {error})") from error
    return values


def unwrap(answer: object) -> object:
    """Return the value of a XenAPI answer struct.

    Raises XenAPI.Failure with code and parameters where it is a refusal, and Garbled where it is no such struct.
    """
    match answer:
        case {"Status": "Success", "Value": value}:
            return value
        case {"Status": "Failure", "ErrorDescription": [str(), *_] as description}:
            raise XenAPI.Failure([str(part) for part in description])
    raise Garbled(f"the answer has no usable Status ({_keys(answer)})")


def _keys(answer: object) -> str:
    return f"keys {sorted(map(str, answer))}" if isinstance(answer, Mapping) else type(answer).__name__
