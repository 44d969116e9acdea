"""The interceptor: a mitmproxy reverse proxy inside this process, on a thread of its own, that carries out faults."""

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from xencbt.harness.endpoint import Endpoint
from xencbt.harness.faults import Call, Plan, Receipt, Watch, require_fired
from xencbt.harness.trust import Trust
from xencbt.proxies.carriers.registry import require_carriers
from xencbt.proxies.errors import InterceptorError

if TYPE_CHECKING:
    from xencbt.proxies.engine import Engine

START_STOP_S = 30.0
REPEAT_S = 30.0

_only_one = threading.Lock()  # mitmproxy's context is global: two in one process would cross-wire


class Armed:
    """A plan at work, and afterwards what became of it."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    @property
    def receipts(self) -> tuple[Receipt, ...]:
        """One receipt per planned fault, in the order of the plan, as things stand now."""
        return self._watch.receipts

    def require_fired(self) -> None:
        """Raise NotExercised unless every planned fault fired as often as planned."""
        require_fired(self.receipts)


class Interceptor:
    """Stands between the harness and one or several hosts; passes everything on as it is, until a plan is armed.

    Clients talk plain HTTP to `url` on loopback, or TLS to the same port; the host is spoken to as its own URL says,
    its certificate judged as `trust` says (a path: that CA file; None: the system's authorities). A host that closes
    without an answer looks so to the client. Usable from several threads. One per process: further hosts are added to
    it.

    >>> with Interceptor("https://127.0.0.1:8443", Path("host.pem")) as interceptor:
    ...     with interceptor.arm(Plan.of(Planned(AnswerLost(), "VDI.enable_cbt")), session.ref) as armed:
    ...         ...  # calls through interceptor.url
    ...     armed.require_fired()

    Raises UsageError for an address or certificate file that cannot be used (plain HTTP goes to loopback only), and
    InterceptorError where it cannot start, serve, heal or stop in time: `deadline_s` seconds for each of these,
    `repeat_timeout_s` for the answer to a second delivery.
    """

    def __init__(
        self,
        upstream: str | None = None,
        trust: Trust | Path | None = None,
        *,
        deadline_s: float = START_STOP_S,
        repeat_timeout_s: float = REPEAT_S,
    ) -> None:
        self._first = _endpoint(upstream, trust) if upstream is not None else None
        self._deadline_s = deadline_s
        self._repeat_timeout_s = repeat_timeout_s
        self._engine: Engine | None = None
        self._url = ""

    def start(self) -> None:
        """Start, and return when calls can be made; raises InterceptorError when another one runs in this process."""
        if not _only_one.acquire(blocking=False):
            raise InterceptorError("an interceptor runs in this process already: add the upstream to that one")
        try:
            engine = _new_engine(self._deadline_s, self._repeat_timeout_s)
        except BaseException:
            _only_one.release()
            raise
        try:
            engine.start()
            self._url = engine.listen(self._first) if self._first is not None else ""
        except BaseException:
            engine.stop()
            raise
        self._engine = engine

    def stop(self) -> None:
        """Close every listener and connection and end the thread; does nothing when it does not run."""
        engine, self._engine, self._url = self._engine, None, ""
        if engine is not None and not engine.stop():
            raise InterceptorError(f"the interceptor did not stop within {self._deadline_s} s")

    @property
    def url(self) -> str:
        """The loopback URL that stands for the upstream given at the beginning."""
        if not self._url:
            raise InterceptorError("the interceptor does not run, or was given no upstream")
        return self._url

    def add_upstream(self, url: str, trust: Trust | Path | None = None, at: str = "") -> str:
        """Serve one more host while running, and return the loopback URL that stands for it.

        `at` is the loopback address and port to listen at, as in `127.0.0.1:8080`; empty means a free one.

        A host served already keeps its loopback URL; with another scheme or trust it has to be removed first.
        """
        return self._running().listen(_endpoint(url, trust), at)

    def remove_upstream(self, loopback_url: str) -> None:
        """Stop serving the host that `loopback_url` stands for, and close the connections to there."""
        engine = self._running()
        for upstream, served in engine.urls.items():
            if served == loopback_url:
                engine.forget(upstream)
                return
        raise InterceptorError(f"no upstream is served at {loopback_url}")

    def over_tls(self, loopback_url: str) -> str:
        """Return the URL for those who speak TLS to the interceptor; `certificate` is what they have to trust."""
        if loopback_url not in self.upstreams:
            raise InterceptorError(f"no upstream is served at {loopback_url}")
        return loopback_url.replace("http://", "https://", 1)

    @property
    def certificate(self) -> Path:
        """A file (PEM) with what a client trusts who speaks TLS to the interceptor; gone when it is stopped."""
        shown = self._running().shown
        shown.make()
        return shown.trusted

    @property
    def upstreams(self) -> dict[str, str]:
        """The hosts served now: the loopback URL that stands for each, and its own."""
        return {served: upstream.url for upstream, served in self._running().urls.items()}

    @property
    def problems(self) -> tuple[str, ...]:
        """Why upstreams could not be reached or trusted (the latest 50): the lab broke, not the host."""
        return self._running().problems

    @contextmanager
    def arm(
        self,
        plan: Plan,
        session_ref: str | None,
        foreign: Callable[[Call], str | None] | None = None,
        on_firing: Callable[[Receipt], None] | None = None,
    ) -> Iterator[Armed]:
        """Let the faults of `plan` strike the calls of one session (None: of every session) inside the `with`.

        Calls are counted from here. On leaving, by whatever way, nothing strikes any more, and a strike under way is
        waited for. Where `foreign` is given, no fault strikes a call for which it returns a reference; `on_firing` is
        told of each firing, on the proxy's thread. Raises InterceptorError for a fault it cannot carry out, and when a
        strike does not end in time.
        """
        require_carriers(tuple(planned.fault for planned in plan))
        watches = self._running().watches
        watch = Watch(plan, session_ref, foreign=foreign, on_firing=on_firing)
        watches.add(watch)
        try:
            yield Armed(watch)
        finally:
            watches.remove(watch)
            if not watch.heal(self._repeat_timeout_s + self._deadline_s):
                raise InterceptorError(f"a fault is still at work {self._repeat_timeout_s + self._deadline_s} s after")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _running(self) -> "Engine":
        if self._engine is None:
            raise InterceptorError("the interceptor does not run")
        return self._engine


def _endpoint(url: str, trust: Trust | Path | None) -> Endpoint:
    endpoint = Endpoint.parse(url, trust)
    endpoint.tls()  # a certificate file that cannot be read shows now, not at the first call
    return endpoint


def _new_engine(deadline_s: float, repeat_timeout_s: float) -> "Engine":
    """Import mitmproxy, which costs a second and warns of its own deprecations, only now."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from xencbt.proxies.engine import Engine  # noqa: PLC0415  lazily, see above
    return Engine(deadline_s=deadline_s, repeat_timeout_s=repeat_timeout_s, ended=_only_one.release)
