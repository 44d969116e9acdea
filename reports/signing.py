"""A certificate as a file: signed in canonical JSON, and read back without trust."""

import json
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # ships no types
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from xencbt.harness.errors import UsageError
from xencbt.harness.keys import as_hex
from xencbt.reports.plain import one_line

ALGORITHM = "Ed25519"
MOST_BYTES = 4 << 20
"""A larger file is no certificate."""


class UnreadableCertificate(UsageError):
    """The file is no certificate of this version; the message says why."""


def canonical(certificate: dict[str, Any]) -> bytes:
    """Return what is signed: keys sorted, no blanks, UTF-8; the same statements give the same bytes everywhere."""
    text = json.dumps(certificate, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "surrogatepass")


def signed(certificate: dict[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    """Return the certificate with its signature, as it stands in a file."""
    return {
        "certificate": certificate,
        "signature": {
            "algorithm": ALGORITHM,
            "public_key": as_hex(key.public_key()),
            "value": key.sign(canonical(certificate)).hex(),
        },
    }


def as_file(document: dict[str, Any]) -> bytes:
    """Return the content of the JSON file."""
    return (json.dumps(document, ensure_ascii=True, indent=2) + "\n").encode("ascii")


def read_certificate(path: Path) -> dict[str, Any]:
    """Read a certificate with its signature, which is not checked here; raises UnreadableCertificate."""
    try:
        if path.stat().st_size > MOST_BYTES or not path.is_file():
            raise UnreadableCertificate(f"{path} is no file, or too large for a certificate")
        data = json.loads(path.read_text("utf-8"), object_pairs_hook=_once, parse_float=_whole, parse_constant=_whole)
    except OSError as error:
        raise UnreadableCertificate(f"cannot read {path}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise UnreadableCertificate(f"{path} is cut off or damaged, it is no JSON: {one_line(str(error))}") from error
    _refuse_foreign(data, path)
    wrong = jsonschema.exceptions.best_match(_validator().iter_errors(data))
    if wrong is not None:
        place = "/".join(str(step) for step in wrong.absolute_path) or "its top"
        said = one_line(f"{place}: {wrong.message}")[:200]
        raise UnreadableCertificate(f"{path} is not as its schema says: {said}")
    read: dict[str, Any] = data
    return read


def _refuse_foreign(data: Any, path: Path) -> None:
    inside = data.get("certificate") if isinstance(data, dict) else None
    schema = inside.get("schema") if isinstance(inside, dict) else None
    if not isinstance(schema, str) or not schema.startswith("xencbt.certificate/"):
        raise UnreadableCertificate(f"{path} is no certificate of xencbt")
    if schema != "xencbt.certificate/1":
        said = one_line(schema)[:80]
        raise UnreadableCertificate(f"{path} is of schema {said}, this version reads xencbt.certificate/1")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Read an object; a key that stands twice would mean one thing to us and another to the next reader."""
    read = dict(pairs)
    if len(read) != len(pairs):
        raise ValueError("a key stands twice in an object")
    return read


def _whole(number: str) -> int:
    raise ValueError(f"{number} is no whole number")


@cache
def _validator() -> Any:
    text = resources.files(__package__).joinpath("certificate.schema.json").read_text(encoding="utf-8")
    return jsonschema.Draft202012Validator(json.loads(text))
