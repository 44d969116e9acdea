"""Where a target listens, and how far that place may be trusted."""

import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from xencbt.harness.errors import UsageError

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Scheme, host and port of a target, with the CA file that vouches for it (None: the system's).

    TLS is always verified; plain HTTP goes to loopback only, because a login carries the password.
    """

    scheme: str
    host: str
    port: int
    ca_file: Path | None = None

    @classmethod
    def parse(cls, url: str, ca_file: Path | None = None) -> "Endpoint":
        """Read `http[s]://host[:port]`; raises UsageError on anything else, and on plain HTTP beyond loopback."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise UsageError(f"{url!r} is no URL: {error}") from error
        if parts.username is not None or parts.password is not None:
            raise UsageError("the target's URL must not carry a user or a password")
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
            raise UsageError(f"{url!r} is no target: write http://HOST[:PORT] or https://HOST[:PORT]")
        if parts.path not in {"", "/"} or parts.query or parts.fragment:
            raise UsageError(f"{url!r} is no target: it has something after host and port")
        endpoint = cls(parts.scheme, parts.hostname, port or DEFAULT_PORTS[parts.scheme], ca_file)
        if endpoint.scheme == "http" and not endpoint.is_loopback:
            raise UsageError(f"{url}: plain http is for loopback only, use https")
        return endpoint

    @property
    def netloc(self) -> str:
        """Host and port as a URL and the Host header write them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The endpoint as a URL without a path."""
        return f"{self.scheme}://{self.netloc}"

    @property
    def is_loopback(self) -> bool:
        """Whether the host is `localhost` or an address of the loopback network; no name is resolved for this."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def tls(self) -> ssl.SSLContext | None:
        """Return a verifying TLS context, None for plain HTTP; raises UsageError when the CA file cannot be read."""
        if self.scheme == "http":
            return None
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"cannot read the CA file {self.ca_file}: {error}") from error
