"""Keys: private ones stay private, and nothing else is taken for one."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from xencbt.harness.errors import UsageError
from xencbt.harness.keys import as_hex, is_signed, make_key, read_private, read_public


def test_a_new_key_is_private_and_works(tmp_path: Path) -> None:
    public = make_key(tmp_path / "key")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    key = read_private(tmp_path / "key")
    assert as_hex(key.public_key()) == as_hex(read_public(public))
    assert is_signed(b"x", key.sign(b"x"), as_hex(key.public_key()))
    assert not is_signed(b"y", key.sign(b"x"), as_hex(key.public_key()))
    assert not is_signed(b"x", b"", as_hex(key.public_key()))


@pytest.mark.parametrize("there", ["key", "key.pub"])
def test_a_key_is_never_overwritten(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        make_key(tmp_path / "key")
    assert (tmp_path / there).read_text() == "mine"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    make_key(tmp_path / "key")
    (tmp_path / "key").chmod(mode)
    with pytest.raises(UsageError, match="can be read by others: chmod 600"):
        read_private(tmp_path / "key")


def test_what_is_no_such_key_is_refused_without_showing_it(tmp_path: Path) -> None:
    make_key(tmp_path / "ed")
    other = generate_private_key(SECP256R1())
    key = read_private(tmp_path / "ed")
    files = {
        "text": b"-----BEGIN secret-----",
        "curve": other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "locked": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")),
        "public": (tmp_path / "ed.pub").read_bytes(),
        "large": b"x" * 100_000,
    }
    for name, content in files.items():
        path = tmp_path / name
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(UsageError) as refused:
            read_private(path)
        assert content.splitlines()[-1].decode()[:20] not in str(refused.value)
    with pytest.raises(UsageError, match="cannot read"):
        read_private(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="no public key"):
        read_public(tmp_path / "ed")
