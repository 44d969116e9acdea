"""Keeps a page of thousands of failures light: evidence beyond the first is packed, and unpacked when it is opened."""

import base64
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

INLINE_BYTES = 1 << 20
"""Characters of evidence that stand in the page as they are, and can be read without JavaScript."""

IN_A_CHUNK = 50
"""Tests whose evidence is packed together: what one click unpacks."""


@dataclass(frozen=True, slots=True)
class Packed:
    """Evidence by test: `inline` as it is, or in one of `chunks` (zlib, base64) at a place; `places` says which."""

    inline: Mapping[str, str]
    places: Mapping[str, tuple[int, int]]
    chunks: tuple[str, ...]


def packed(fragments: Iterable[tuple[str, str]]) -> Packed:
    """Lay out `fragments` (a test's anchor, and HTML), the most important first."""
    inline: dict[str, str] = {}
    places: dict[str, tuple[int, int]] = {}
    chunks: list[str] = []
    waiting: list[str] = []
    room = INLINE_BYTES
    for anchor, fragment in fragments:
        room -= len(fragment)
        if room >= 0:
            inline[anchor] = fragment
            continue
        places[anchor] = len(chunks), len(waiting)
        waiting.append(fragment)
        if len(waiting) == IN_A_CHUNK:
            chunks.append(_pack(waiting))
            waiting = []
    if waiting:
        chunks.append(_pack(waiting))
    return Packed(inline, places, tuple(chunks))


def _pack(fragments: list[str]) -> str:
    return base64.b64encode(zlib.compress(json.dumps(fragments, ensure_ascii=False).encode(), 6)).decode()
