"""How a target shows that it is the one meant: by an authority, by its very certificate, or not at all.

One value says it for everything that connects to a target: calls, raw disks, the control interface, and the
interceptor's connections to the host.
"""

import hashlib
import hmac
import ipaddress
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from xencbt.harness.errors import UsageError

PIN_IT = "or pin it with --fingerprint"
NOT_VERIFIED = "not verified"

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_EXPIRED, _NOT_YET, _OTHER_NAME, _OTHER_ADDRESS = 10, 9, 62, 64
_UNKNOWN_SIGNERS = frozenset({18, 19, 20, 21})
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})
_CLOSED = frozenset({"UNEXPECTED_EOF_WHILE_READING"})


@dataclass(frozen=True, slots=True)
class Trust:
    """By default the system's authorities decide; at most one field says otherwise.

    `ca_file` is a PEM file that holds the authorities (or the host's own certificate). `fingerprint` is the SHA-256 of
    the certificate in DER, as 64 lower-case hexadecimal digits: it stands in for chain, name and date. `insecure`
    accepts any certificate, and plain HTTP beyond loopback. Raises UsageError for a combination or a bad fingerprint.
    """

    ca_file: Path | None = None
    fingerprint: str | None = None
    insecure: bool = False

    def __post_init__(self) -> None:
        given = (("--ca", self.ca_file), ("--fingerprint", self.fingerprint), ("--insecure", self.insecure))
        named = [flag for flag, value in given if value]
        if len(named) > 1:
            raise UsageError(f"{' and '.join(named)} exclude each other: say one way to trust the target's certificate")
        if self.fingerprint is not None:
            plain = self.fingerprint.replace(":", "").lower()
            if not _FINGERPRINT.fullmatch(plain):
                raise UsageError(
                    "--fingerprint is the SHA-256 of the certificate, 64 hexadecimal digits with or without colons, "
                    f"not {self.fingerprint!r}"
                )
            object.__setattr__(self, "fingerprint", plain)

    def absolute(self) -> "Trust":
        """Return the same, with the CA file named from the root."""
        return self if self.ca_file is None else replace(self, ca_file=self.ca_file.resolve())

    def context(self) -> ssl.SSLContext:
        """Return what a TLS client needs; raises UsageError when the CA file cannot be read.

        With a fingerprint the context verifies nothing: `objection` has to be asked before anything is sent.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"cannot read the CA file {self.ca_file}: {error}") from error
        unstrict(context)
        if self.insecure or self.fingerprint:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def objection(self, certificate: bytes | None) -> str | None:
        """Say why the certificate (DER) that was shown is not the pinned one; None where nothing is to be said."""
        if self.fingerprint is None:
            return None
        if not certificate:
            return "no certificate was shown, and one is pinned"
        seen = fingerprint_of(certificate)
        if hmac.compare_digest(seen, self.fingerprint):
            return None
        return f"its certificate has the fingerprint {_spelt(seen)}, not the pinned {_spelt(self.fingerprint)}"

    def as_options(self) -> list[str]:
        """Return the options of the command line that say the same."""
        if self.ca_file is not None:
            return ["--ca", str(self.ca_file)]
        if self.fingerprint is not None:
            return ["--fingerprint", self.fingerprint]
        return ["--insecure"] if self.insecure else []

    @classmethod
    def from_options(cls, options: Sequence[str]) -> "Trust":
        """Return what `as_options` gave `options` for; raises UsageError for anything else."""
        match list(options):
            case []:
                return cls()
            case ["--ca", file]:
                return cls(ca_file=Path(file))
            case ["--fingerprint", fingerprint]:
                return cls(fingerprint=fingerprint)
            case ["--insecure"]:
                return cls(insecure=True)
        raise UsageError(f"{list(options)} is no way to trust a target")

    def words(self, scheme: str) -> str:
        """Say in a record's words how a target that is spoken to by `scheme` is verified."""
        if scheme == "http":
            return "none (http)"
        if self.insecure:
            return NOT_VERIFIED
        if self.fingerprint is not None:
            return "pinned"
        return "verified by system CAs" if self.ca_file is None else "verified by CA file"


def unstrict(context: ssl.SSLContext) -> ssl.SSLContext:
    """Have `context` judge certificates the same on all versions of Python, and on the interceptor's way; return it.

    3.13 asks by default for extensions that hosts' own certificates lack, and only from there on takes a host's own
    certificate for enough.
    """
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def fingerprint_of(certificate: bytes) -> str:
    """Return the SHA-256 of a certificate in DER, in lower-case hexadecimal digits."""
    return hashlib.sha256(certificate).hexdigest()


def explain(error: ssl.SSLError, host: str) -> str:
    """Say what went wrong in a handshake with `host`, and what the user can do about it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {_objection_of_openssl(error, host)}"
    if error.reason in _NO_TLS:
        return "what answers there does not speak TLS: plain http, or another service's port?"
    if error.reason in _CLOSED or isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "the connection was closed during the handshake: no TLS on this port?"
    return error.reason or error.strerror or type(error).__name__


def _objection_of_openssl(error: ssl.SSLCertVerificationError, host: str) -> str:
    code, said = error.verify_code, error.verify_message
    if code == _EXPIRED:
        return f"it has expired ({said}): renew it, {PIN_IT}"
    if code == _NOT_YET:
        return f"it is not valid yet ({said}): compare the clocks"
    if code in {_OTHER_NAME, _OTHER_ADDRESS}:
        kind = "address" if _is_address(host) else "name"
        return f"it is not for the {kind} {host} ({said}): use what it names in --target, {PIN_IT}"
    if code in _UNKNOWN_SIGNERS:
        return f"no known authority signed it ({said}): name the CA that did with --ca, {PIN_IT}"
    return f"{said}: name its CA with --ca, {PIN_IT}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _spelt(fingerprint: str) -> str:
    return ":".join(fingerprint[at : at + 2] for at in range(0, len(fingerprint), 2)).upper()
