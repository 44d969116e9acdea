"""What a client sees of one call: the outcome's class, never an exception's type."""

import http.client
import xmlrpc.client
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from xencbt.harness.outcome import Failed, Indeterminate, Ok, Outcome
from xencbt.proxies.answers import outcome_of


class Client:
    """A keep-alive connection that never resends; `received` is what the last lost call got before the end."""

    def __init__(self, url: str, session: str = "OpaqueRef:a", timeout_s: float = 10) -> None:
        self.session = session
        self.status = 0
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=timeout_s)

    def call(self, method: str, *params: str) -> Outcome:
        """Call `method` with the session and `params`."""
        body = xmlrpc.client.dumps((self.session, *params), method).encode()
        self.status = 0
        try:
            self._connection.request("POST", "/RPC2", body, {"Content-Type": "text/xml", "X-Kept": "as it is"})
            response = self._connection.getresponse()
            self.status = response.status
            return outcome_of(response.status, response.read())
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            return Indeterminate(type(error).__name__)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()


def seen(client: Client, outcome: Outcome) -> str:
    """Name the class of an outcome; a connection closed without any answer is `lost`, any HTTP answer else is not."""
    if isinstance(outcome, Ok):
        return "success"
    if isinstance(outcome, Failed):
        return "refusal"
    return "lost" if client.status == 0 else f"HTTP {client.status}"
