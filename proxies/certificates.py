"""The certificates that the interceptor shows to clients who connect over TLS: a good one, and three that are not."""

import datetime as dt
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

GOOD = "good"
WRONG_NAME, EXPIRED, FOREIGN = "wrong-name", "expired", "foreign"
LOOPBACK = "127.0.0.1"
DAY = dt.timedelta(days=1)


class Shown:
    """Which certificate clients are shown: `now` is the file (PEM) with it and its key.

    `folder` takes the files; whoever sets it removes it. `trusted` is what a client of the interceptor trusts: the
    good one and those it must refuse by their content (the name, the date), but not the foreign one. Certificates are
    made when first needed.
    """

    def __init__(self) -> None:
        self.folder = Path()
        self._made: dict[str, Path] = {}
        self.now = Path()

    @property
    def trusted(self) -> Path:
        """What a client has to trust."""
        return self.folder / "trusted.pem"

    def make(self) -> None:
        """Make the certificates, once."""
        if self._made:
            return
        key = generate_private_key(public_exponent=65537, key_size=2048)
        certificates = {
            GOOD: _self_signed(key, GOOD),
            WRONG_NAME: _self_signed(key, WRONG_NAME, address="127.255.255.254"),
            EXPIRED: _self_signed(key, EXPIRED, ends=-DAY),
            FOREIGN: _self_signed(key, FOREIGN),
        }
        unlocked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        for name, certificate in certificates.items():
            self._made[name] = self.folder / f"{name}.pem"
            self._made[name].write_bytes(certificate.public_bytes(Encoding.PEM) + unlocked)
        known = [certificate for name, certificate in certificates.items() if name != FOREIGN]
        self.trusted.write_bytes(b"".join(certificate.public_bytes(Encoding.PEM) for certificate in known))
        self.show(GOOD)

    def show(self, name: str) -> None:
        """Show the certificate of that name from now on."""
        self.make()
        self.now = self._made[name]


def _self_signed(
    key: RSAPrivateKey, name: str, address: str = LOOPBACK, ends: dt.timedelta = 30 * DAY
) -> x509.Certificate:
    called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"xencbt interceptor ({name})")])
    now = dt.datetime.now(dt.UTC)
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(called)
        .issuer_name(called)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 2 * DAY)
        .not_valid_after(now + ends)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .add_extension(usage, critical=True)
        .sign(key, SHA256())
    )
