"""Where a target listens, and how far that place may be trusted."""

import ipaddress
import re
import ssl
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from xencbt.harness.errors import UsageError
from xencbt.harness.trust import Trust

DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_NAME = 253
_LABEL = re.compile(r"[0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Scheme, host and port of a target, and how it is to be trusted.

    Plain HTTP goes to loopback only, because a login carries the password; anything else must be said (`insecure`).
    """

    scheme: str
    host: str
    port: int
    trust: Trust = field(default_factory=Trust)

    @classmethod
    def parse(cls, url: str, trust: Trust | Path | None = None) -> "Endpoint":
        """Read `http[s]://host[:port]`; raises UsageError on anything else, and on plain HTTP beyond loopback.

        A path as `trust` is the CA file, None stands for the system's authorities.
        """
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
        trust = trust if isinstance(trust, Trust) else Trust(ca_file=trust)
        endpoint = cls(parts.scheme, parts.hostname, port or DEFAULT_PORTS[parts.scheme], trust)
        if endpoint.scheme == "http" and not endpoint.is_loopback and not trust.insecure:
            raise UsageError(f"{url}: plain http is for loopback only: use https, or say --insecure")
        return endpoint

    def moved_to(self, address: str) -> "Endpoint":
        """Return the same scheme, port and trust at `address`, which a host named: it is not believed blindly.

        Raises UsageError for what is no IP address or host name, and where loopback would be left or reached.
        """
        moved = replace(self, host=_host(address))
        if moved.is_loopback is not self.is_loopback:
            side = "on" if self.is_loopback else "not on"
            raise UsageError(f"{self.url} is {side} loopback, and is not left for {address}")
        return moved

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
        """Return a TLS context, None for plain HTTP; raises UsageError when the CA file cannot be read."""
        return None if self.scheme == "http" else self.trust.context()


def _host(text: str) -> str:
    """Return `text` as a host; raises UsageError where it is none, or could mean this machine or many at once."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return _name(text)
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise UsageError(f"{text[:MAX_NAME]!r} is an address on one link only")
        address = address.ipv4_mapped or address
    if address.is_unspecified or address.is_multicast:
        raise UsageError(f"{text!r} is no address of one host")
    return str(address)


def _name(text: str) -> str:
    labels = text.split(".")
    # a last label of digits would be read as an address in one of its old spellings: 127.1, 0x7f000001
    if len(text) > MAX_NAME or not all(map(_LABEL.fullmatch, labels)) or _NUMBER.fullmatch(labels[-1]):
        raise UsageError(f"{text[:MAX_NAME]!r} is neither a host name nor an IP address")
    return text.lower()
