"""What makes two failures the same failure: what was broken and how, whatever a run drew or a host numbered; pure."""

import hashlib
import re

LENGTH = 16
"""Hexadecimal digits of a fingerprint."""

FINGERPRINT = re.compile(rf"[0-9a-f]{{{LENGTH}}}", re.ASCII)

_VARYING: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"OpaqueRef:(?:NULL\b|[0-9A-Za-z-]+…?)"), "<ref>"),
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "<uuid>"),
    (re.compile(r"\b\d{4}-?\d\d-?\d\dT\d\d:?\d\d(?::?\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b"), "<address>"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), "<n>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{8,}\b"), "<hex>"),
    # the number of a requirement, of a deviation or of an HTTP status says what happened; a joined code has no \b in it
    (re.compile(r"(?<![A-Z]-)(?<!HTTP )\b\d+(?:\.\d+)?"), "<n>"),
    (re.compile(r"\bblocks? <n>(?:-<n>)?(?:, <n>(?:-<n>)?)*(?: and <n> more runs)?"), "blocks <n>"),
)
"""What varies between two runs that break in the same way, most particular first."""

_CODE = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
_NO_ANSWER = "no answer"


def normalised(text: str) -> str:
    """Return `text` on one line without what varies: references, uuids, times, addresses and numbers.

    >>> normalised("block 7 of OpaqueRef:12ab… is lost: SR_BACKEND_FAILURE_460")
    'blocks <n> of <ref> is lost: SR_BACKEND_FAILURE_460'
    """
    for varying, instead in _VARYING:
        text = varying.sub(instead, text)
    return " ".join(text.split())


def fingerprint(requirement: str, verdict: str, reason: str, actual: str = "") -> str:
    """Return LENGTH hexadecimal digits that are the same for the same failure of a requirement, and only for it.

    `reason` says what was broken; of `actual`, what came instead, only error codes count, and that no answer came: the
    rest of it are values that a test drew or measured.
    """
    came = _CODE.findall(actual)
    if actual.startswith(_NO_ANSWER):
        came.append(_NO_ANSWER)
    what = "\0".join((requirement, verdict, normalised(reason), *dict.fromkeys(came)))
    return hashlib.sha256(what.encode("utf-8", "backslashreplace")).hexdigest()[:LENGTH]
