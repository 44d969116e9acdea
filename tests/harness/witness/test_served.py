"""Two right hosts say the same of a served disk, however they are called and reached; a wrong one does not."""

import base64
from typing import Any

import pytest

from xencbt.fixtures.emulator.certificate import self_signed
from xencbt.harness.outcome import Ok
from xencbt.harness.witness.naming import Naming
from xencbt.harness.witness.served import where_served

UUID = "5a1f6f11-3b1f-4c1e-8a55-0d9a1f6f1f11"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Certificates of two hosts."""
    folder = tmp_path_factory.mktemp
    return self_signed(folder("one"), "one", "127.0.0.1").pem, self_signed(folder("other"), "other", "127.0.0.2").pem


@pytest.fixture
def record(certificates: tuple[str, str]) -> dict[str, Any]:
    """Tell what one host says."""
    name = f"/{UUID}?session_id=OpaqueRef:1"
    return {"exportname": name, "address": "127.0.0.1", "port": 10809, "cert": certificates[0], "subject": "one"}


def said(*records: dict[str, Any]) -> Any:
    return Naming().outcome(Ok(list(records)), "nbd-info")["ok"]


def test_right_hosts_say_the_same(record: dict[str, Any], certificates: tuple[str, str]) -> None:
    other = record | {"address": "127.0.0.2", "port": "44210", "cert": certificates[1], "subject": "Other"}
    assert said(record) == said(other) == said(other | {"subject": "127.0.0.2"})
    assert said(record) == [
        {
            "exportname": "/<uuid>?session_id=<reference>",
            "address": "address 1",
            "port": "<port>",
            "cert": "<certificate>",
            "subject": "<named by the certificate>",
        }
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"subject": "another"},
        {"cert": "no certificate"},
        {"port": "no port"},
        {"port": "²"},
        {"port": "1" * 5000},
        {"cert": "\ud800"},
        {"address": ""},
        {"exportname": "/elsewhere"},
        {"more": "fields"},
    ],
)
def test_wrong_ones_do_not(record: dict[str, Any], wrong: dict[str, Any]) -> None:
    assert said(record | wrong) != said(record)


@pytest.mark.parametrize("broken", ["version", "extension"])
def test_what_only_looks_like_a_certificate_is_none(record: dict[str, Any], broken: str) -> None:
    body = base64.b64decode("".join(record["cert"].splitlines()[1:-1]))
    made = {
        "version": body.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020109"), 1),
        # the subject alternative name (2.5.29.17) becomes a second subject key identifier (2.5.29.14)
        "extension": body.replace(bytes.fromhex("0603551d11"), bytes.fromhex("0603551d0e"), 1),
    }[broken]
    assert made != body
    pem = f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(made).decode()}-----END CERTIFICATE-----\n"
    assert said(record | {"cert": pem}) != said(record)


def test_an_address_that_comes_twice_is_told_from_two(record: dict[str, Any]) -> None:
    assert said(record, record) != said(record, record | {"address": "127.0.0.9"})
    assert said() == []


@pytest.mark.parametrize("answer", ["", None, [1], {"address": "127.0.0.1"}])
def test_what_is_no_list_of_records_stays_what_it_is(answer: object) -> None:
    assert where_served(answer, str) == answer
