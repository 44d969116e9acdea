"""A thousand faults later nothing has piled up: no socket, no thread, no memory beyond a little."""

import gc
import os
import threading
from pathlib import Path

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


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="counts what Linux tells of a process")
@pytest.mark.parametrize(("tls", "most"), [(False, 5 * MIB), (True, 25 * MIB)], ids=["plain", "tls"])
def test_a_thousand_faults_leave_nothing(certificate: Path, *, tls: bool, most: int) -> None:
    with running_host(certificate if tls else None) as host, Interceptor(repeat_timeout_s=10) as interceptor:
        url = interceptor.add_upstream(host.url, host.certificate)
        url = interceptor.over_tls(url) if tls else url
        with Client(url, trusted=interceptor.certificate) as client:
            faulted(interceptor, client, WARM_UP)
            settle(host, client)
            before = sockets(), threading.active_count(), resident()
            faulted(interceptor, client, CALLS)
            settle(host, client)
            after = sockets(), threading.active_count(), resident()
    assert after[:2] <= before[:2]
    assert after[2] - before[2] <= most


def settle(host: Host, client: Client) -> None:
    """Drop what the tiny host remembers of the calls, and let the last connection be an orderly one."""
    host.requests.clear()
    host.executed.clear()
    while seen(client, client.call(ENABLE)) != "success":
        pass
