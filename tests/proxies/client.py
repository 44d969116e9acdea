"""What a client sees of one call: the outcome's class, never an exception's type."""

import http.client
import ssl
import xmlrpc.client
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from xencbt.harness.outcome import Failed, Indeterminate, Ok, Outcome
from xencbt.proxies.answers import outcome_of

SILENCE, REFUSED, UNTRUSTED = "silence", "refused", "untrusted"


class Client:
    """A keep-alive connection that never resends. `received` is the body of the last answer that came whole."""

    def __init__(
        self, url: str, session: str = "OpaqueRef:a", timeout_s: float = 10, trusted: Path | None = None
    ) -> None:
        self.session = session
        self.status = 0
        self.url = url
        parts = urlsplit(url)
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=trusted)
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.netloc, timeout=timeout_s, context=context
            )
        else:
            self._connection = http.client.HTTPConnection(parts.netloc, timeout=timeout_s)

    def patience(self, timeout_s: float) -> None:
        """Wait for answers so long, in seconds, from the next connection on."""
        self._connection.close()
        self._connection.timeout = timeout_s

    def call(self, method: str, *params: str) -> Outcome:
        """Call `method` with the session and `params`."""
        return self.post(xmlrpc.client.dumps((self.session, *params), method).encode(), "text/xml")

    def post(self, body: bytes, content_type: str, path: str = "/RPC2") -> Outcome:
        """Send a call that is written already."""
        self.status = 0
        self.received = b""
        try:
            self._connection.request("POST", path, body, {"Content-Type": content_type, "X-Kept": "as it is"})
            response = self._connection.getresponse()
            self.status = response.status
            self.received = response.read()
            return outcome_of(response.status, self.received)
        except ssl.SSLCertVerificationError as untrusted:
            self._connection.close()
            return Indeterminate(f"{UNTRUSTED}: {untrusted.verify_message}")
        except TimeoutError:
            self._connection.close()
            return Indeterminate(SILENCE)
        except ConnectionRefusedError:
            self._connection.close()
            return Indeterminate(REFUSED)
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
    """Name the class of an outcome.

    `silence`: the connection stays open and nothing (more) comes; `refused`: no connection; `untrusted`: no trust;
    `lost`: the connection is closed without any answer; `garbled`: HTTP 200 and no answer.
    """
    if isinstance(outcome, Ok):
        return "success"
    if isinstance(outcome, Failed):
        return "refusal"
    for word in (SILENCE, REFUSED, UNTRUSTED):
        if outcome.why.startswith(word):
            return word
    if client.status == HTTPStatus.OK:
        return "garbled"
    return "lost" if client.status == 0 else f"HTTP {client.status}"
