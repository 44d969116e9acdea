"""A certificate is believed only where its signature is right and it does not contradict itself."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reports.certifiable import SUITE, full_run
from xencbt.harness.catalogue import catalogue_hash
from xencbt.harness.catalogue.levels import certificate_levels
from xencbt.harness.keys import as_hex
from xencbt.reports.certifying import Asked, certificate
from xencbt.reports.document import build
from xencbt.reports.pages import certificate as certificate_page
from xencbt.reports.signing import UnreadableCertificate, as_file, canonical, read_certificate, signed
from xencbt.reports.verifying import contradictions

KEY, OTHER = Ed25519PrivateKey.from_private_bytes(b"k" * 32), Ed25519PrivateKey.from_private_bytes(b"o" * 32)
PUBLIC = as_hex(KEY.public_key())
FULL = certificate_levels()["full"]
FILES = {"run.json": "a" * 64, "events.jsonl": "b" * 64}
SAID = certificate(build(full_run()), Asked("Acme", "Acme Store", FULL, "2026-03-02T00:00:00+00:00"), FILES)
NASTY = "<script>alert(1)</script>\u202e"
Change = Callable[[dict[str, Any]], object]


def wrong_with(document: dict[str, Any], key: str | None = PUBLIC, **said: Any) -> list[str]:
    known: dict[str, Any] = {"levels": certificate_levels(), "catalogue_hash": catalogue_hash()}
    return contradictions(document, key=key, **(known | said))


def changed(change: Change, key: Ed25519PrivateKey | None = KEY) -> dict[str, Any]:
    """Return the certificate after a `change` of its statements, signed again with `key`; None: by nobody."""
    document = signed(SAID, KEY)
    said = copy.deepcopy(SAID)
    change(said)
    return signed(said, key) if key is not None else document | {"certificate": said}


def test_what_was_signed_is_valid() -> None:
    assert wrong_with(signed(SAID, KEY)) == []


def test_it_survives_being_written_and_read(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_bytes(as_file(signed(SAID, KEY)))
    assert read_certificate(tmp_path / "c.json") == signed(SAID, KEY)


def test_the_order_of_keys_and_the_layout_do_not_matter(tmp_path: Path) -> None:
    shuffled = dict(reversed(SAID.items()))
    assert canonical(shuffled) == canonical(SAID)
    (tmp_path / "c.json").write_text(json.dumps({"signature": signed(SAID, KEY)["signature"], "certificate": shuffled}))
    assert wrong_with(read_certificate(tmp_path / "c.json")) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said.update(vendor="Somebody"),
        lambda said: said["target"].update(build="b43"),
        lambda said: said["limits"].append("x"),
        lambda said: said.pop("kill_score"),
    ],
)
def test_a_changed_statement_breaks_the_signature(change: Change) -> None:
    assert "the signature is not that of these statements" in wrong_with(changed(change, key=None))[0]


def test_another_key_is_seen() -> None:
    document = signed(SAID, OTHER)
    assert wrong_with(document, key=None) == []
    assert "signed with another key than the one given" in wrong_with(document)[0]


def row_of(name: str, **values: object) -> Change:
    return lambda said: next(row for row in said["requirements"] if row["id"] == name).update(values)


def without(name: str) -> Change:
    def change(said: dict[str, Any]) -> None:
        said["requirements"] = [row for row in said["requirements"] if row["id"] != name]
        said["counts"]["pass"] -= 1

    return change


def recounted(name: str, verdict: str) -> Change:
    def change(said: dict[str, Any]) -> None:
        row_of(name, verdict=verdict)(said)
        said["counts"]["pass"] -= 1
        said["counts"][verdict] = 1

    return change


CONTRADICTIONS: list[tuple[Change, str]] = [
    (lambda said: said["counts"].update({"pass": 3}), "the counts do not add up"),
    (row_of("ENABLE-13", verdict="known"), "the counts do not add up"),
    (recounted("ENABLE-13", "unsupported"), "ENABLE-13 is required, and unsupported"),
    (recounted("ENABLE-13", "known"), "ENABLE-13 is required, and known"),
    (recounted("ENABLE-13", "fail"), "ENABLE-13 is of level M, and fail"),
    (recounted("DESTROY-08", "error"), "DESTROY-08 is of level I, and error"),
    (without("SET-01"), "SET-01 is required, and missing"),
    (lambda said: said["required"].remove("SET-01"), "not what the level full requires"),
    (lambda said: said.update(required=[]), "it requires nothing"),
    (lambda said: said.update(level="gold"), "there is no level gold"),
    (lambda said: said.update(level="core"), "not what the level core requires"),
    (row_of("ENABLE-13", flaky=True), "ENABLE-13 is flaky"),
    (lambda said: said["requirements"].append(said["requirements"][0]), "SET-01 is told 2 times"),
    (lambda said: said["run"].update(complete=False), "did not come to its end"),
    (lambda said: said["run"].update(filtered=True), "the run was filtered"),
    (lambda said: said["run"].update(exit=1), "exit code 1"),
    (lambda said: said["run"]["files"].clear(), "it does not say which run.json"),
    (lambda said: said["suite"].update(modified=True), "the suite was modified"),
    (lambda said: said["suite"].update(files_hash=""), "the suite was modified, or nothing is said"),
    (lambda said: said["target"].update(kind="emulator"), "an emulated host and its mark"),
    (lambda said: said.update(emulated=True), "an emulated host and its mark"),
    (lambda said: said.update(issued="2026-02-01T00:00:00+00:00"), "issued before the run started"),
    (lambda said: said.update(issued="yesterday"), "its dates are none"),
]


@pytest.mark.parametrize(("change", "why"), CONTRADICTIONS, ids=[why for _, why in CONTRADICTIONS])
def test_a_contradiction_is_seen_whoever_signed_it(change: Change, why: str) -> None:
    assert any(why in reason for reason in wrong_with(changed(change))), wrong_with(changed(change))


def test_a_kill_score_is_told_as_the_run_tells_it(tmp_path: Path) -> None:
    score = {
        "killed": 70,
        "of": 73,
        "survivors": ["loses-bits"],
        "date": "2026-03-01",
        "version": "0.1.0",
        "catalogue_hash": "a",
        "suite_hash": "b",
    }
    run = build(full_run(suite=SUITE | {"kill_score": score}))
    said = certificate(run, Asked("Acme", "Acme Store", FULL, "2026-03-02T00:00:00+00:00"), FILES)
    (tmp_path / "c.json").write_bytes(as_file(signed(said, KEY)))
    read = read_certificate(tmp_path / "c.json")
    assert read["certificate"]["kill_score"] == score
    assert wrong_with(read) == []
    assert "70 of 73 planted defects were noticed" in certificate_page.render(read, FULL).decode()


def test_another_suite_of_the_same_version_is_seen() -> None:
    version = SAID["suite"]["version"]
    assert wrong_with(signed(SAID, KEY), published=(version, "f" * 64)) == []
    assert "has other files than" in wrong_with(signed(SAID, KEY), published=(version, "0" * 64))[0]
    assert wrong_with(signed(SAID, KEY), published=("9.9", "0" * 64)) == []


def test_of_another_catalogue_the_required_ids_are_taken_as_told() -> None:
    document = changed(lambda said: said.update(level="gold"))
    assert wrong_with(document, catalogue_hash="another") == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "cut off or damaged"),
        (b'{"certificate": {"schema": "xencbt.certificate/1", "x": 1.5}}', "1.5 is no whole number"),
        (b'{"certificate": {}, "certificate": {}}', "a key stands twice"),
        (b"[" * 100_000, "cut off or damaged"),
        (b"{}", "is no certificate of xencbt"),
        (b'{"certificate": {"schema": "xencbt.run/1"}}', "is no certificate of xencbt"),
        (b'{"certificate": {"schema": "xencbt.certificate/2"}}', "this version reads xencbt.certificate/1"),
        (b'{"certificate": {"schema": "xencbt.certificate/1"}}', "is not as its schema says"),
        (b"\xff", "cut off or damaged"),
    ],
)
def test_what_is_no_certificate_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "c.json").write_bytes(content)
    with pytest.raises(UnreadableCertificate, match=why):
        read_certificate(tmp_path / "c.json")


@settings(deadline=None)
@given(st.data())
def test_no_single_damage_stays_valid(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.json"
    content = bytearray(as_file(signed(SAID, KEY)))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        read = read_certificate(path)
    except UnreadableCertificate:
        return
    assert read == signed(SAID, KEY) or wrong_with(read)


def test_the_page_escapes_names_and_holds_the_signed_json() -> None:
    document = changed(lambda said: (said.update(vendor=NASTY, product=NASTY), said["target"].update(build=NASTY)))
    laid = certificate_page.render(document, FULL).decode()
    assert "<script" not in laid
    assert "\u202e" not in laid
    assert "Specimen" not in laid
    embedded = re.search(r"<details>.*<code>(.*)</code></pre></details>", laid, re.DOTALL)
    assert embedded is not None
    text = embedded[1].replace("&lt;", "<").replace("&gt;", ">").replace("&#34;", '"').replace("&#39;", "'")
    assert json.loads(text.replace("&amp;", "&")) == document


def test_a_specimen_says_so_first() -> None:
    document = changed(lambda said: (said.update(emulated=True), said["target"].update(kind="emulator")))
    assert "Specimen: an emulated host was judged" in certificate_page.render(document, FULL).decode()
