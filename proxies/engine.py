"""mitmproxy on a thread and a loop of its own: import this module only where its warnings are silenced."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from mitmproxy.addons.core import Core
from mitmproxy.addons.disable_h2c import DisableH2C
from mitmproxy.addons.next_layer import NextLayer
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.master import Master
from mitmproxy.options import Options

from xencbt.harness.endpoint import Endpoint
from xencbt.proxies.addons import BothLegs, LabTrouble, PassThrough, PlainDrop
from xencbt.proxies.certificates import LOOPBACK, Shown
from xencbt.proxies.errors import InterceptorError
from xencbt.proxies.listeners import Listeners
from xencbt.proxies.striking import FaultCarrier, Watches

T = TypeVar("T")


class Engine:
    """A running mitmproxy Master with only the addons that a reverse proxy and the faults need.

    Everything that waits has `deadline_s` seconds and raises InterceptorError after it. `ended` is called once the
    thread has nothing left to do, however late that is.
    """

    def __init__(self, *, deadline_s: float, repeat_timeout_s: float, ended: Callable[[], None]) -> None:
        self._deadline_s = deadline_s
        self._ended = ended
        self._proxyserver = Proxyserver()  # type: ignore[no-untyped-call]  # mitmproxy's
        self.shown = Shown()
        self._listeners = Listeners(self._proxyserver, self.shown)
        self._trouble = LabTrouble()
        self.watches = Watches()
        self._faults = FaultCarrier(self.watches, self._listeners, repeat_timeout_s)
        self._master: Master | None = None
        self._running = threading.Event()
        self._given_up = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="xencbt-interceptor", daemon=True)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why upstreams could not be reached or trusted, latest last."""
        return tuple(self._trouble.problems)

    def start(self) -> None:
        """Start the thread, and return when the proxy runs."""
        self._thread.start()
        if not self._running.wait(self._deadline_s):
            raise InterceptorError(f"the interceptor did not start within {self._deadline_s} s")
        if self._master is None:
            failure = self._failure
            raise InterceptorError(f"the interceptor could not start: {failure or 'it ended at once'}") from failure

    def listen(self, upstream: Endpoint, at: str = "") -> str:
        """Serve `upstream` at a loopback address (empty: a free port); return the URL, the same when asked again."""
        return self._on_loop(self._listeners.listen(upstream, at), f"listen for {upstream.url}")

    def forget(self, upstream: Endpoint) -> None:
        """Close the listener of `upstream` and its connections; does nothing when it is not served."""
        self._on_loop(self._listeners.forget(upstream), f"stop listening for {upstream.url}")

    @property
    def urls(self) -> dict[Endpoint, str]:
        """Each upstream that is served, and the URL that stands for it."""
        return dict(self._listeners.urls)

    def stop(self) -> bool:
        """Close every listener and connection, and end the thread; False when it does not end in time."""
        self._given_up = True
        master = self._master
        if master is not None and self._running.is_set() and self._thread.is_alive():
            self._on_loop(self._listeners.close(), "close its listeners")
            master.shutdown()  # type: ignore[no-untyped-call]  # mitmproxy's
        self._thread.join(self._deadline_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._failure = asyncio.run(self._watch_serving())
        finally:
            self._master = None
            self._ended()
            self._running.set()  # whoever waits for the start learns that there will be none

    async def _watch_serving(self) -> BaseException | None:
        serving = asyncio.create_task(self._serve())
        await asyncio.wait({serving})
        return serving.exception()

    async def _serve(self) -> None:
        with TemporaryDirectory(prefix="xencbt-interceptor-") as confdir:
            self.shown.folder = Path(confdir)
            options = Options(listen_host=LOOPBACK, listen_port=0, confdir=confdir, mode=[], http2=False)
            master = Master(options)
            master.addons.add(  # type: ignore[no-untyped-call]  # mitmproxy's
                Core(),
                self._proxyserver,
                NextLayer(),
                BothLegs(self._listeners.upstreams, self._trouble, self.shown),
                DisableH2C(),
                PassThrough(),
                self._faults,
                PlainDrop(),
                self._trouble,
                self,
            )
            # a host must not see a connection for a call that a fault keeps from it
            master.options.update(connection_strategy="lazy")  # type: ignore[no-untyped-call]  # mitmproxy's
            self._master = master
            await master.run()

    def running(self) -> None:
        """Hear from mitmproxy that it runs; too late where nobody waits any more."""
        self._running.set()
        if self._given_up and self._master is not None:
            self._master.shutdown()  # type: ignore[no-untyped-call]  # mitmproxy's

    def _on_loop(self, work: Coroutine[Any, Any, T], what: str) -> T:
        master = self._master
        if master is None:
            work.close()
            raise InterceptorError(f"the interceptor cannot {what}: it does not run")
        future = asyncio.run_coroutine_threadsafe(work, master.event_loop)
        try:
            return future.result(self._deadline_s)
        except FutureTimeout as error:
            future.cancel()
            raise InterceptorError(f"the interceptor did not {what} within {self._deadline_s} s") from error
