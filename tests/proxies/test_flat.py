"""A thousand faults later nothing has piled up: no socket, no thread, no memory beyond a little."""

import gc
import os
import threading
import time
from operator import gt, lt
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.proxies.client import Client, seen
from tests.proxies.host import Host, running_host
from xencbt.harness.faults import (
    AnswerLost,
    ApiError,
    ConnectionReset,
    Duplicate,
    Fault,
    HttpStatus,
    MalformedAnswer,
    Phase,
    Plan,
    Planned,
    RequestDropped,
    TruncatedAnswer,
)
from xencbt.proxies import Interceptor

pytestmark = pytest.mark.heavy  # a thousand faulted calls, twice

ENABLE = "VDI.enable_cbt"
FAULTS: tuple[tuple[Fault, Phase | None], ...] = (
    (AnswerLost(), None),
    (RequestDropped(), None),
    (Duplicate(), None),
    (ConnectionReset(), Phase.AFTER),
    (TruncatedAnswer(), None),
    (TruncatedAnswer(ending="reset"), None),
    (MalformedAnswer(), None),
    (HttpStatus(), Phase.BEFORE),
    (ApiError(), Phase.AFTER),
    (ConnectionReset(), Phase.BEFORE),
)
WARM_UP, CALLS = 200, 1_000
MIB = 1 << 20
PATIENCE_S, PAUSE_S = 3.0, 0.02


def faulted(interceptor: Interceptor, client: Client, calls: int) -> None:
    for number in range(calls):
        fault, phase = FAULTS[number % len(FAULTS)]
        with interceptor.arm(Plan.of(Planned(fault, ENABLE, phase=phase)), client.session) as armed:
            client.call(ENABLE)
            if not armed.receipts[0].fired:  # an earlier answer had ended the connection
                client.call(ENABLE)
            armed.require_fired()


def resident() -> int:
    gc.collect()
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def sockets() -> int:
    links = list(Path("/proc/self/fd").iterdir())  # the folder's own descriptor is gone when the links are read
    return sum(1 for link in links if link.is_symlink() and str(link.readlink()).startswith("socket:"))


class Left(NamedTuple):
    """What has not ended."""

    sockets: int
    threads: int


def left(awaited: Left) -> Left:
    """Return what is left once it is no more than `awaited`, or once nothing has ended for PATIENCE_S.

    The last connections of a moment ago end by themselves, on threads of the interceptor's and the tiny host's.
    """
    least = now = Left(sockets(), threading.active_count())
    since = time.monotonic()
    while any(map(gt, now, awaited)) and time.monotonic() - since < PATIENCE_S:
        time.sleep(PAUSE_S)  # between two looks at a condition that has a deadline
        now = Left(sockets(), threading.active_count())
        if any(map(lt, now, least)):
            least, since = Left(*map(min, now, least)), time.monotonic()
    return now


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="counts what Linux tells of a process")
@pytest.mark.parametrize(("tls", "most"), [(False, 5 * MIB), (True, 25 * MIB)], ids=["plain", "tls"])
def test_a_thousand_faults_leave_nothing(certificate: Path, *, tls: bool, most: int) -> None:
    with running_host(certificate if tls else None) as host, Interceptor(repeat_timeout_s=10) as interceptor:
        url = interceptor.add_upstream(host.url, host.certificate)
        url = interceptor.over_tls(url) if tls else url
        with Client(url, trusted=interceptor.certificate) as client:
            faulted(interceptor, client, WARM_UP)
            settle(host, client)
            before, held = left(Left(0, 0)), resident()
            faulted(interceptor, client, CALLS)
            settle(host, client)
            after, grown = left(before), resident() - held
    assert after.sockets <= before.sockets
    assert after.threads <= before.threads
    assert grown <= most


def settle(host: Host, client: Client) -> None:
    """Drop what the tiny host remembers of the calls, and let the last connection be an orderly one."""
    host.requests.clear()
    host.executed.clear()
    while seen(client, client.call(ENABLE)) != "success":
        pass
