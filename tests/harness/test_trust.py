"""How a target is trusted: what is accepted, what is not and in which words, and that nothing is sent before."""

from pathlib import Path

import pytest

from tests.proxies.host import fingerprint, make_certificate, running_host
from xencbt.harness.endpoint import Endpoint
from xencbt.harness.errors import TargetUnreachable, UsageError
from xencbt.harness.exchange import Recorder
from xencbt.harness.masking import Secrets
from xencbt.harness.session import Session
from xencbt.harness.transport import Channel, Deadline, TlsFailure
from xencbt.harness.trust import Trust

OTHER = "ab" * 32


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("certificates")
    return {
        "good": make_certificate(folder / "good.pem"),
        "foreign": make_certificate(folder / "foreign.pem"),
        "expired": make_certificate(folder / "expired.pem", valid_from=-9),
        "early": make_certificate(folder / "early.pem", valid_from=1),
        "elsewhere": make_certificate(folder / "elsewhere.pem", address="127.0.0.2"),
        "named": make_certificate(folder / "named.pem", address=None),
    }


def ask(url: str, trust: Trust) -> int:
    channel = Channel(Endpoint.parse(url, trust))
    try:
        return len(channel.post("/RPC2", "text/xml", CALL, Deadline(10)).body)
    finally:
        channel.close()


CALL = (
    b"<?xml version='1.0'?><methodCall><methodName>VDI.enable_cbt</methodName>"
    b"<params><param><value>s</value></param></params></methodCall>"
)

REFUSED = {
    "expired": ("expired", "it has expired"),
    "not valid yet": ("early", "not valid yet"),
    "another address": ("elsewhere", r"not for the address 127\.0\.0\.1 .*--fingerprint"),
    "no address at all": ("named", r"not for the address 127\.0\.0\.1 .*--fingerprint"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_certificate_that_its_own_file_vouches_for_can_still_be_wrong(
    name: str, certificates: dict[str, Path]
) -> None:
    kind, words = REFUSED[name]
    with running_host(certificates[kind]) as host:
        with pytest.raises(TlsFailure, match=f"certificate not accepted: .*{words}"):
            ask(host.url, Trust(ca_file=certificates[kind]))
        assert host.requests == []


@pytest.mark.parametrize("ca", [None, "foreign"])
def test_a_certificate_that_nobody_vouches_for_is_refused(ca: str | None, certificates: dict[str, Path]) -> None:
    with running_host(certificates["good"]) as host:
        with pytest.raises(TlsFailure, match=r"no known authority signed it .*--ca, or pin it with --fingerprint"):
            ask(host.url, Trust(ca_file=certificates[ca] if ca else None))
        assert host.requests == []


def test_a_file_that_vouches_is_enough(certificates: dict[str, Path]) -> None:
    with running_host(certificates["good"]) as host:
        assert ask(host.url, Trust(ca_file=certificates["good"]))


@pytest.mark.parametrize("kind", ["good", "expired", "elsewhere", "named"])
def test_a_pinned_certificate_is_accepted_however_it_is_made(kind: str, certificates: dict[str, Path]) -> None:
    plain = fingerprint(certificates[kind])
    coloned = ":".join(plain[at : at + 2] for at in range(0, 64, 2)).upper()
    with running_host(certificates[kind]) as host:
        assert ask(host.url, Trust(fingerprint=plain))
        assert ask(host.url, Trust(fingerprint=coloned))
    assert Trust(fingerprint=plain) == Trust(fingerprint=coloned)


def test_another_certificate_than_the_pinned_one_sees_no_password(certificates: dict[str, Path]) -> None:
    with running_host(certificates["good"]) as host:
        seen = ":".join(fingerprint(certificates["good"])[at : at + 2] for at in range(0, 64, 2)).upper()
        with pytest.raises(TargetUnreachable, match=f"has the fingerprint {seen}, not the pinned AB:AB"):
            Session.login(Endpoint.parse(host.url, Trust(fingerprint=OTHER)), "root", "secret", Recorder(Secrets()))
        assert host.requests == []


@pytest.mark.parametrize("kind", ["good", "expired", "elsewhere"])
def test_insecure_takes_anything(kind: str, certificates: dict[str, Path]) -> None:
    with running_host(certificates[kind]) as host:
        assert ask(host.url, Trust(insecure=True))


@pytest.mark.parametrize(
    "given",
    [
        {"ca_file": Path("a"), "fingerprint": OTHER},
        {"ca_file": Path("a"), "insecure": True},
        {"fingerprint": OTHER, "insecure": True},
    ],
)
def test_there_is_one_way_to_trust(given: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        Trust(**given)  # type: ignore[arg-type]  # one case a row


@pytest.mark.parametrize("text", ["", "ab", "zz" * 32, OTHER + "00", "sha256//abc"])
def test_a_fingerprint_is_a_sha256(text: str) -> None:
    with pytest.raises(UsageError, match="64 hexadecimal digits"):
        Trust(fingerprint=text)


@pytest.mark.parametrize(
    ("trust", "scheme", "words", "options"),
    [
        (Trust(), "https", "verified by system CAs", []),
        (Trust(ca_file=Path("a.pem")), "https", "verified by CA file", ["--ca", "a.pem"]),
        (Trust(fingerprint=OTHER), "https", "pinned", ["--fingerprint", OTHER]),
        (Trust(insecure=True), "https", "not verified", ["--insecure"]),
        (Trust(insecure=True), "http", "none (http)", ["--insecure"]),
    ],
)
def test_a_record_says_which(trust: Trust, scheme: str, words: str, options: list[str]) -> None:
    assert trust.words(scheme) == words
    assert trust.as_options() == options


@pytest.mark.parametrize("trust", [Trust(), Trust(Path("/x.pem")), Trust(fingerprint=OTHER), Trust(insecure=True)])
def test_its_options_say_it_all(trust: Trust) -> None:
    assert Trust.from_options(trust.as_options()) == trust
    assert trust.absolute() == trust


def test_a_ca_file_can_be_named_from_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Trust(Path("x.pem")).absolute() == Trust(tmp_path.resolve() / "x.pem")


@pytest.mark.parametrize("options", [["--ca"], ["--ca", "x", "--insecure"], ["--fingerprint", "short"], ["x"]])
def test_other_words_are_no_way_to_trust(options: list[str]) -> None:
    with pytest.raises(UsageError):
        Trust.from_options(options)
