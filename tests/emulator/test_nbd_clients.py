"""Foreign NBD clients read the emulated host's disks: nbdinfo, nbdcopy and qemu-img, plainly and over TLS.

They are judged by the bytes that come out, not by their exit codes alone.
"""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.foreign import require
from xencbt.fixtures.disks import Disk
from xencbt.fixtures.emulator.certificate import self_signed
from xencbt.fixtures.exports import addresses
from xencbt.fixtures.lab import MIB, Lab
from xencbt.fixtures.purposes import Purpose
from xencbt.harness.nbd import NbdAddress

pytestmark = pytest.mark.heavy

SIZE = 26 * MIB
DEADLINE_S = 60.0
BLOCK = 65536


@dataclass(frozen=True)
class Served:
    """A snapshot that is being served, its content, and where: `folder` has the certificate as clients want it."""

    snapshot: Disk
    content: bytes
    at: NbdAddress
    purpose: Purpose
    folder: Path

    @property
    def uri(self) -> str:
        """The export as an NBD URI; two slashes, since the name begins with one."""
        place = f"{self.at.address}:{self.at.port}/{quote(self.at.name)}"
        if self.purpose == "insecure_nbd":
            return f"nbd://{place}"
        return f"nbds://{place}?tls-certificates={self.folder}&tls-hostname={self.at.subject}"

    @property
    def qemu(self) -> list[str]:
        """The export in the words of qemu-img."""
        image = f"driver=nbd,host={self.at.address},port={self.at.port},export={self.at.name},read-only=on"
        if self.purpose == "insecure_nbd":
            return ["--image-opts", image]
        credentials = f"tls-creds-x509,id=tls,endpoint=client,dir={self.folder},verify-peer=yes"
        return ["--object", credentials, "--image-opts", f"{image},tls-creds=tls,tls-hostname={self.at.subject}"]

    def named(self, name: str) -> "Served":
        """Ask the same server for another export."""
        return replace(self, at=replace(self.at, name=name))


@pytest.fixture(params=["insecure_nbd", "nbd"])
def served(lab: Lab, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    purpose: Purpose = request.param
    disk = lab.create_disk(size=SIZE)
    content = bytearray(disk.size)
    ranges = [(0, 1), (BLOCK - 1, 2), (5 * BLOCK, 40 * BLOCK), (8 * MIB + 511, 3 * MIB), (disk.size - 1, 1)]
    for start, length in ranges:
        content[start : start + length] = data = lab.content.draw(length)
        disk.write(offset=start, data=data)
    content[BLOCK * 64 : BLOCK * 66] = same = b"\x5a" * (2 * BLOCK)
    disk.write(offset=BLOCK * 64, data=same)
    snapshot = disk.snapshot()
    disk.write(blocks=(0, 7, 64, 130))
    with lab.conditions.served_over_nbd(purpose):
        (at,) = addresses(snapshot)
        folder = tmp_path / "certificates"
        folder.mkdir()
        (folder / "ca-cert.pem").write_text(at.certificate)
        yield Served(snapshot, bytes(content), at, purpose, folder)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)


def succeed(*command: str) -> str:
    ran = run(*command)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_nbdinfo_sees_the_export_as_it_is(served: Served) -> None:
    require("nbdinfo")
    told = json.loads(succeed("nbdinfo", "--json", served.uri))
    (export,) = told["exports"]
    assert told["TLS"] is (served.purpose == "nbd")
    assert told["protocol"] == "newstyle-fixed"
    assert export["export-name"] == served.at.name
    assert export["export-size"] == len(served.content)
    assert (export["is_read_only"], export["can_multi_conn"], export["can_trim"]) == (True, True, False)
    assert succeed("nbdinfo", "--size", served.uri).strip() == str(len(served.content))


def test_nobody_is_told_which_exports_there_are(served: Served) -> None:
    require("nbdinfo")
    assert json.loads(succeed("nbdinfo", "--list", "--json", served.named("").uri))["exports"] == []


@pytest.mark.parametrize(
    "options", [(), ("--synchronous",), ("--connections=8", "--requests=16", "--request-size=8192")]
)
def test_nbdcopy_brings_every_byte(served: Served, tmp_path: Path, options: tuple[str, ...]) -> None:
    require("nbdcopy")
    copy = tmp_path / "copy.raw"
    succeed("nbdcopy", *options, served.uri, str(copy))
    assert copy.read_bytes() == served.content
    assert served.snapshot.record()["VBDs"] == []


def test_nbdcopy_gets_nothing_by_a_wrong_name(served: Served, tmp_path: Path) -> None:
    require("nbdcopy")
    copy = tmp_path / "copy.raw"
    for name in (served.at.name[:-1], f"/{served.snapshot.uuid}", "", served.at.name.replace("/", "/x")):
        ran = run("nbdcopy", served.named(name).uri, str(copy))
        assert ran.returncode != 0
        assert not copy.exists() or not copy.read_bytes().strip(b"\0")
    succeed("nbdcopy", served.uri, str(copy))
    assert copy.read_bytes() == served.content


def test_qemu_img_converts_every_byte(served: Served, tmp_path: Path) -> None:
    require("qemu-img")
    copy = tmp_path / "copy.raw"
    succeed("qemu-img", "convert", *served.qemu, "-O", "raw", str(copy))
    assert copy.read_bytes() == served.content


def test_qemu_img_finds_it_equal_to_its_content_and_to_nothing_else(served: Served, tmp_path: Path) -> None:
    require("qemu-img")
    same, other = tmp_path / "same.raw", tmp_path / "other.raw"
    same.write_bytes(served.content)
    changed = bytearray(served.content)
    changed[6 * BLOCK] ^= 1
    other.write_bytes(changed)
    *objects, image = served.qemu
    assert run("qemu-img", "compare", *objects, image, f"driver=raw,file.filename={same}").returncode == 0
    assert run("qemu-img", "compare", *objects, image, f"driver=raw,file.filename={other}").returncode == 1


@pytest.mark.parametrize("served", ["nbd"], indirect=True)
def test_who_knows_another_certificate_stays_out(served: Served, tmp_path: Path) -> None:
    require("nbdcopy", "qemu-img")
    copy = tmp_path / "copy.raw"
    succeed("nbdcopy", served.uri, str(copy))
    foreign = self_signed(tmp_path, served.at.subject, served.at.address)
    (served.folder / "ca-cert.pem").write_text(foreign.pem)
    copy.unlink()
    refused = run("nbdcopy", served.uri, str(copy))
    assert refused.returncode != 0
    assert "certificate" in refused.stderr
    assert run("qemu-img", "info", *served.qemu).returncode != 0


@pytest.mark.parametrize("served", ["nbd"], indirect=True)
def test_who_comes_in_clear_where_tls_is_required_stays_out(served: Served, tmp_path: Path) -> None:
    require("nbdcopy")
    copy = tmp_path / "copy.raw"
    ran = run("nbdcopy", replace(served, purpose="insecure_nbd").uri, str(copy))
    assert ran.returncode != 0
    assert not copy.exists() or not copy.read_bytes().strip(b"\0")
