"""What a host might say instead of the truth: small changes of one answer, each wrong in its own way; pure."""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from xencbt.harness.outcome import Failed, Ok, Outcome
from xencbt.harness.xe_words import XeResult

FIELDS = (
    *("cbt_enabled", "type", "is_a_snapshot", "snapshot_of", "snapshots", "snapshot_time", "virtual_size"),
    *("SR", "VBDs", "name_label", "name_description", "sharable", "read_only", "on_boot", "managed", "missing"),
    *("parent", "location", "other_config", "sm_config", "tags", "allowed_operations", "current_operations"),
    *("physical_utilisation", "uuid", "power_state", "VDI", "currently_attached", "status", "error_info"),
    *("result", "address", "port", "cert", "subject", "exportname", "purpose"),
)
"""Fields of records in which a lie may be told."""

ELSEWHERE = "OpaqueRef:00000000-0000-4000-8000-00000000a11e"
CODE = "INTERNAL_ERROR"
OTHER_CODE = "OPERATION_NOT_ALLOWED"


@dataclass(frozen=True, slots=True)
class Lie:
    """`change` makes a false outcome of a true one, None where it has none to make.

    Where it does not `reach` the host, the call never gets there, and `change` is given what was answered once.
    """

    name: str
    change: Callable[[Outcome], Outcome | None]
    reaches: bool = True
    of_a_field: bool = False


def _value(change: Callable[[Any], object]) -> Callable[[Outcome], Outcome | None]:
    """Make a lie about values; `change` returns what it is given where it does not apply."""

    def told(outcome: Outcome) -> Outcome | None:
        if not isinstance(outcome, Ok):
            return None
        false = change(outcome.value)
        return None if false == outcome.value and type(false) is type(outcome.value) else Ok(false)

    return told


def other(value: object) -> object:
    """Return another value of the same type."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return _another_text(value)
        case bytes():
            return bytes([value[0] ^ 0xFF]) + value[1:] if value else b"x"
        case list() if value and isinstance(value[-1], tuple):  # pieces of an image
            offset, data = value[-1]
            return [*value[:-1], (offset, other(data))]
        case list():
            return [*value, ELSEWHERE]
        case dict():
            return {**value, "a lie": "a lie"}
        case XeResult():
            return replace(value, stdout={"true\n": "false\n", "false\n": "true\n"}.get(value.stdout, "x"))
        case _:
            return value


def _another_text(text: str) -> str:
    if text.isdecimal():
        return str(int(text) + 4096)
    return ELSEWHERE if text.startswith("OpaqueRef:") else f"{text}x"


def empty(value: object) -> object:
    """Return nothing of the same type."""
    match value:
        case str() | list() | dict() | bytes():
            return type(value)()
        case XeResult():
            return XeResult(0, "", "")
        case _:
            return value


def less(value: object) -> object:
    """Leave something out, at the end."""
    match value:
        case str() | bytes() | list():
            return value[:-1]
        case dict() if value:
            return {name: each for name, each in value.items() if name != list(value)[-1]}
        case _:
            return value


def _bitmap(change: Callable[[bytearray], bytearray | None]) -> Callable[[object], object]:
    def told(value: object) -> object:
        if not isinstance(value, str) or not value or len(value) % 4:
            return value
        try:
            false = change(bytearray(base64.b64decode(value, validate=True)))
        except binascii.Error:
            return value
        return value if false is None else base64.b64encode(false).decode()

    return told


def _one_bit(*, wanted: bool, last: bool) -> Callable[[bytearray], bytearray | None]:
    """Turn the first or last bit that is as `wanted`."""

    def change(bitmap: bytearray) -> bytearray | None:
        places = range(8 * len(bitmap))
        for at in reversed(places) if last else places:
            mask = 0x80 >> at % 8
            if bool(bitmap[at // 8] & mask) == wanted:
                bitmap[at // 8] ^= mask
                return bitmap
        return None

    return change


def _field(name: str, change: Callable[[object], object]) -> Callable[[object], object]:
    """Change a field of a record, or of each of several."""

    def told(value: object) -> object:
        match value:
            case Mapping() if name in value:
                return {**value, name: change(value[name])}
            case Mapping() if value and all(isinstance(each, Mapping) for each in value.values()):
                return {key: told(each) for key, each in value.items()}
            case list() if value and all(isinstance(each, Mapping) for each in value):
                return [told(each) for each in value]
            case _:
                return value

    return told


def _refused(code: str, params: tuple[str, ...] | None = None) -> Callable[[Outcome], Outcome | None]:
    def told(outcome: Outcome) -> Outcome | None:
        if not isinstance(outcome, Failed):
            return Failed(code, params or ()) if code == CODE else None
        false = Failed(code or outcome.code, outcome.params if params is None else params)
        return None if false == outcome else false

    return told


def _pretended(outcome: Outcome) -> Outcome | None:
    return outcome if isinstance(outcome, Ok) and outcome.value in ("", b"") else None


def _allowed(outcome: Outcome) -> Outcome | None:
    return Ok("") if isinstance(outcome, Failed) else None


def _exit(value: object) -> object:
    return replace(value, exit_code=1 - min(value.exit_code, 1)) if isinstance(value, XeResult) else value


def _error(value: object) -> object:
    return replace(value, stderr="Error: something else\n") if isinstance(value, XeResult) else value


def _flag(value: object) -> object:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else value


LIES = (
    Lie("pretended", _pretended, reaches=False),
    Lie("allowed", _allowed, reaches=False),
    Lie("another value", _value(other)),
    Lie("nothing", _value(empty)),
    Lie("less", _value(less)),
    Lie("a flag as text", _value(_flag)),
    *(
        Lie(f"a bitmap with {what}", _value(_bitmap(change)))
        for what, change in {
            "no bit": lambda bitmap: bytearray(len(bitmap)),
            "every bit": lambda bitmap: bytearray(b"\xff" * len(bitmap)),
            "one bit less": _one_bit(wanted=True, last=False),
            "its last bit less": _one_bit(wanted=True, last=True),
            "one bit more": _one_bit(wanted=False, last=False),
            "a last bit more": _one_bit(wanted=False, last=True),
            "a byte less": lambda bitmap: bitmap[:-1],
            "a byte more": lambda bitmap: bitmap + b"\0",
        }.items()
    ),
    *(Lie(f"another {name}", _value(_field(name, other)), of_a_field=True) for name in FIELDS),
    *(Lie(f"no {name}", _value(_field(name, empty)), of_a_field=True) for name in FIELDS),
    Lie("another code", _refused(OTHER_CODE)),
    Lie("other parameters", _refused("", (ELSEWHERE, "a lie"))),
    Lie("no parameters", _refused("", ())),
    Lie("refused", _refused(CODE), reaches=False),
    Lie("refused when it is done", _refused(CODE)),
    Lie("another exit code", _value(_exit)),
    Lie("another error", _value(_error)),
)
"""The likelier to meet one assertion alone come first."""
