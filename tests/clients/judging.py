"""What a disk holds, and which blocks changed, after the writes that every client is told to make."""

from __future__ import annotations

import ssl
import struct
import urllib.request
import xmlrpc.client
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import XenAPI

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xencbt.fixtures.targets import Target

DEADLINE_S = 60.0
MIB = 1024**2
BLOCK = 64 * 1024
SIZE = 8 * MIB
WRITES = [
    {"offset": 0, "length": 512, "fill": 1},
    {"offset": 3 * BLOCK - 100, "length": 200, "fill": 2},
    {"offset": 100 * BLOCK, "length": 2 * BLOCK, "fill": 3},
    {"offset": SIZE - 512, "length": 512, "fill": 4},
]
CHANGED = {0, 2, 3, 100, 101, SIZE // BLOCK - 1}


def expected_bitmap() -> bytes:
    """Set the bit of every block that is written to, most significant first."""
    bits = bytearray(SIZE // BLOCK // 8)
    for block in CHANGED:
        bits[block // 8] |= 0x80 >> block % 8
    return bytes(bits)


def expected_content() -> bytes:
    """Write to a disk of zeros."""
    content = bytearray(SIZE)
    for write in WRITES:
        content[write["offset"] : write["offset"] + write["length"]] = bytes([write["fill"]]) * write["length"]
    return bytes(content)


def frames() -> bytes:
    """Write the upload that makes the writes: the host's own framing."""
    parts = (
        struct.pack("<QI", write["offset"], write["length"]) + bytes([write["fill"]]) * write["length"]
        for write in WRITES
    )
    return b"".join(parts) + struct.pack("<QI", 0, 0)


def transfer(target: Target, path: str, body: bytes | None = None, **query: str) -> bytes:
    """Make one HTTP transfer, with the host's certificate as the only authority; the whole answer."""
    trust = ssl.create_default_context(cafile=target.certificate) if target.certificate else None
    url = f"{target.url}{path}?{urlencode(query)}"
    request = urllib.request.Request(url, body, method="GET" if body is None else "PUT")  # noqa: S310  loopback
    with urllib.request.urlopen(request, timeout=DEADLINE_S, context=trust) as response:  # noqa: S310  loopback
        data: bytes = response.read()
        return data


def content(target: Target, vdi: str) -> bytes:
    """Read a whole disk, in a session of its own."""
    with session(target) as own:
        return transfer(target, "/export_raw_vdi", session_id=own._session, vdi=vdi)


@contextmanager
def session(target: Target) -> Iterator[Any]:
    """Log in with the official binding; its socket is closed afterwards."""
    trust = ssl.create_default_context(cafile=target.certificate) if target.certificate else None
    own = XenAPI.Session(target.url, transport=xmlrpc.client.SafeTransport(context=trust) if trust else None)
    own.xenapi.login_with_password(target.user, target.password, "1.0", "tests")
    try:
        yield own
    finally:
        own.xenapi.session.logout()
        own("close")()
