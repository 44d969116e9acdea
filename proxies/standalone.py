"""The interceptor as a program of its own: `xencbt proxy`, for faults by hand under any client."""

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from xencbt.harness.endpoint import Endpoint
from xencbt.harness.errors import UsageError
from xencbt.harness.faults import Layer, Plan, Receipt, kind_of
from xencbt.harness.faults.watch import now
from xencbt.harness.outcome import Ok
from xencbt.harness.transport import NotConnected
from xencbt.harness.trust import Trust
from xencbt.proxies.interceptor import Interceptor
from xencbt.proxies.redelivery import Request, deliver
from xencbt.proxies.wording import XML, request

ASK_S = 10.0
LAST_PORT = 65535
STOPPING = (signal.SIGINT, signal.SIGTERM)


def serve(upstream: str, plan_file: Path | None, listen: str, trust: Trust, *, tls: bool, out: TextIO) -> None:
    """Stand in front of `upstream` at `listen` (loopback address and port) with the plan's faults armed, until stopped.

    Prints one JSON object per line: where it listens; each receipt when its fault strikes; in the end all receipts.
    Their seconds count from the beginning. Faults strike the calls of every session. Raises UsageError for a bad plan,
    address or upstream, and InterceptorError.
    """
    endpoint = Endpoint.parse(upstream, trust)
    at = _address(listen)
    plan = _plan(plan_file, endpoint) if plan_file is not None else Plan()

    began = now()

    def tell(**fields: object) -> None:
        print(json.dumps(fields), file=out, flush=True)

    def tell_firing(receipt: Receipt) -> None:
        tell(event="fired", receipt=receipt.as_json(began))

    with ExitStack() as stack:
        stopped = stack.enter_context(_stop_signals())
        interceptor = stack.enter_context(Interceptor())
        url = interceptor.add_upstream(endpoint.url, trust, at)
        shown = {"url": interceptor.over_tls(url), "certificate": str(interceptor.certificate)} if tls else {"url": url}
        armed = stack.enter_context(interceptor.arm(plan, None, on_firing=tell_firing))
        tell(event="listening", **shown, upstream=endpoint.url, faults=[str(each) for each in plan])
        while signal.sigwait(STOPPING) not in stopped:
            pass
        tell(event="stopped", receipts=[receipt.as_json(began) for receipt in armed.receipts])


def _address(listen: str) -> str:
    host, _, port = listen.rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) > LAST_PORT:
        raise UsageError(f"--listen {listen}: write ADDRESS:PORT, such as 127.0.0.1:8080; port 0 is a free one")
    if not Endpoint("http", host, int(port)).is_loopback:
        raise UsageError(f"--listen {listen}: the interceptor listens on loopback only, such as 127.0.0.1:8080")
    return listen


@contextmanager
def _stop_signals() -> Iterator[frozenset[signal.Signals]]:
    """Keep the stop signals for `sigwait`: threads started inside do not take them either."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield frozenset(STOPPING)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _plan(path: Path, upstream: Endpoint) -> Plan:
    plan = read_plan(path)
    for planned in plan:
        if kind_of(planned.fault).layer not in {Layer.TRANSPORT, Layer.API}:
            raise UsageError(f"{path}: {planned.fault.name} cannot be carried out by a proxy")
    plan.require_methods(methods_of(upstream))
    return plan


def read_plan(path: Path) -> Plan:
    """Read a plan from a TOML file; raises UsageError, which PlanError is one of."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the plan {path}: {error}") from error
    return Plan.from_toml(text)


def methods_of(upstream: Endpoint) -> frozenset[str]:
    """Return the calls that the host says it has; empty where it does not say."""
    body = request("system.listMethods", ())
    fields = (
        (b"Host", upstream.netloc.encode()),
        (b"Content-Type", XML.encode()),
        (b"Content-Length", str(len(body)).encode()),
        (b"Connection", b"close"),
    )
    try:
        answer = deliver(Request("POST", "/RPC2", fields, body), upstream, ASK_S)
    except NotConnected as error:
        print(f"xencbt: {upstream.url} cannot be asked for its calls yet: {error}", file=sys.stderr)
        return frozenset()
    methods = answer.value if isinstance(answer, Ok) else None
    return frozenset(map(str, methods)) if isinstance(methods, list) else frozenset()
