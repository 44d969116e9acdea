"""Where a disk is served over NBD, said so that it is the same on every host: no certificate, address or port; pure."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from cryptography import x509

_PORT = re.compile(r"[1-9]\d{0,4}", re.ASCII)
_NO_CERTIFICATE = (ValueError, x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)

Text = Callable[[str], str]
"""Takes out of a text what is of one host alone."""


def where_served(answer: object, text: Text) -> Any:
    """Return an answer to VDI.get_nbd_info as plain data: of addresses whether they differ, of subjects what they name.

    What is no list of records comes back as it is.
    """
    if not isinstance(answer, list) or not all(isinstance(one, Mapping) for one in answer):
        return answer
    known: dict[object, str] = {}
    return [_record(one, known, text) for one in answer]


def _record(record: Mapping[str, object], known: dict[object, str], text: Text) -> dict[str, Any]:
    names = _names(record.get("cert"))
    told: dict[str, Any] = {}
    for name, value in sorted(record.items()):
        match name:
            case "address" if isinstance(value, str) and value:
                told[name] = known.setdefault(value, f"address {len(known) + 1}")
            case "port" if _PORT.fullmatch(str(value)):
                told[name] = "<port>"
            case "cert" if names is not None:
                told[name] = "<certificate>"
            case "subject" if names is not None and isinstance(value, str):
                told[name] = "<named by the certificate>" if value.casefold() in names else "<another name>"
            case _:
                told[name] = text(str(value))
    return told


def _names(pem: object) -> frozenset[str] | None:
    """Return the names that a certificate is for; None where it is none."""
    try:
        certificate = x509.load_pem_x509_certificate(str(pem).encode())
        names = [str(each.value) for each in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset(map(str.casefold, names))
    except _NO_CERTIFICATE:
        return None
    names += alternative.get_values_for_type(x509.DNSName)
    names += map(str, alternative.get_values_for_type(x509.IPAddress))
    return frozenset(map(str.casefold, names))
