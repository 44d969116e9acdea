"""Ed25519 keys for certificates: made, read from private files, used; a private key is never shown."""

import os
import stat
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from xencbt.harness.errors import UsageError

PUBLIC_SUFFIX = ".pub"
OTHERS = stat.S_IRWXG | stat.S_IRWXO
MOST_BYTES = 65536
"""A file of a key is not larger."""


def make_key(path: Path) -> Path:
    """Write a new private key to `path`, which only the user may read, and its public key beside it; return that file.

    Raises UsageError where either file exists already or cannot be written.
    """
    public = path.with_name(path.name + PUBLIC_SUFFIX)
    if public.exists():
        raise UsageError(f"{public} exists already: a key is never written over another")
    key = Ed25519PrivateKey.generate()
    private_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public_pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for file, content, mode in ((path, private_pem, 0o600), (public, public_pem, 0o644)):
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except FileExistsError as error:
            raise UsageError(f"{file} exists already: a key is never written over another") from error
        except OSError as error:
            raise UsageError(f"cannot write {file}: {error}") from error
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
    return public


def read_private(path: Path) -> Ed25519PrivateKey:
    """Read a private key (PEM, PKCS 8, unencrypted); raises UsageError, also where others could read the file."""
    content = _read(path)
    if os.name == "posix" and path.stat().st_mode & OTHERS:
        raise UsageError(f"the key file {path} can be read by others: chmod 600 {path}, and think about a new key")
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError as error:
        raise UsageError(f"the key in {path} is encrypted: take it out of its envelope, into a private file") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError(f"{path} holds no private key in PEM") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{path} holds a key of another kind: Ed25519 is needed (xencbt certificate --new-key FILE)")
    return key


def read_public(path: Path) -> Ed25519PublicKey:
    """Read a public key (PEM); raises UsageError."""
    try:
        key = load_pem_public_key(_read(path))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError(f"{path} holds no public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(f"{path} holds a public key of another kind: Ed25519 is needed")
    return key


def as_hex(key: Ed25519PublicKey) -> str:
    """Return the 32 bytes of a public key in hexadecimal digits."""
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def is_signed(content: bytes, signature: bytes, public: str) -> bool:
    """Tell whether `signature` is that of `content` by the key `public` (as `as_hex` writes it)."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES or not path.is_file():
            raise UsageError(f"{path} is no file, or too large for a key")
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the key file {path}: {error}") from error
