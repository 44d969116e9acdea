"""A backup with xen-api, which speaks JSON-RPC first and XML-RPC else: judged by bytes and by the host's own counts."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.clients.judging import SIZE, WRITES, content, expected_bitmap, expected_content
from tests.foreign import require_packages
from xencbt.fixtures.targets import Target, start_emulator

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.heavy

DEADLINE_S = 120.0
SCRIPT = Path(__file__).with_name("backup.mjs")
CALLS = {
    "VDI.create": 1,
    "VDI.enable_cbt": 2,  # one of them refused: on a snapshot
    "VDI.snapshot": 2,
    "VDI.list_changed_blocks": 2,
    "VDI.get_nbd_info": 1,
    "VDI.data_destroy": 1,
    "event.inject": 1,
}
UPLOADS = 1  # which xen-api follows by a task of its own
IN_BACKGROUND = 8


@pytest.fixture(scope="module")
def host(request: pytest.FixtureRequest) -> Iterator[Target]:
    with start_emulator(tls=request.param == "tls") as target:
        yield target


@dataclass(frozen=True)
class Backup:
    """What the client found out, and what the host counted of it."""

    seen: dict[str, Any]
    counts: dict[str, int]


def back_up(host: Target, folder: Path, **how: Any) -> Backup:
    modules = require_packages("xen-api", "@vates/nbd-client")
    shutil.copy(SCRIPT, folder)
    (folder / "node_modules").symlink_to(modules)
    asked = {
        "url": host.url,
        "user": host.user,
        "password": host.password,
        "sr": host.srs["lvm"],
        "size": SIZE,
        "writes": WRITES,
        "purpose": "nbd" if host.certificate else "insecure_nbd",
        **how,
    }
    before = counted(host)
    ran = subprocess.run(
        ["node", SCRIPT.name],
        cwd=folder,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,  # judged by what it saw and did
    )
    assert ran.stdout, ran.stderr
    return Backup(json.loads(ran.stdout), {name: count - before.get(name, 0) for name, count in counted(host).items()})


def counted(host: Target) -> dict[str, int]:
    """Ask the host how often each call was made, in all sessions together."""
    assert host.control is not None
    return {name: sum(sessions.values()) for name, sessions in host.control.call_counts().items()}


@pytest.mark.parametrize(
    ("host", "transport", "waiting"),
    [
        pytest.param("plain", "json-rpc", False, id="JSON-RPC, at once"),
        pytest.param("plain", "json-rpc", True, id="JSON-RPC, in the background"),
        pytest.param("plain", "xml-rpc", False, id="XML-RPC, at once"),
        pytest.param("plain", "xml-rpc", True, id="XML-RPC, in the background"),
        pytest.param("tls", "auto", True, id="as it likes, over TLS, in the background"),
        pytest.param("tls", "xml-rpc", False, id="XML-RPC, over TLS, at once"),
    ],
    indirect=["host"],
)
def test_an_incremental_backup(host: Target, tmp_path: Path, transport: str, waiting: bool) -> None:
    backup = back_up(host, tmp_path, transport=transport, waiting=waiting)
    seen = backup.seen
    assert seen["complaints"] == []
    for listed in (seen["bitmap"], seen["again"]):  # before and after the first snapshot's data is destroyed
        assert base64.b64decode(listed, validate=True) == expected_bitmap()
    assert seen["type"] == "cbt_metadata"
    assert seen["refusal"] == ["OPERATION_NOT_ALLOWED", f"VDI is a snapshot: {seen['second']}"]
    assert base64.b64decode(seen["content"]) == expected_content()  # as it came over NBD
    assert all(set(info) == {"exportname", "address", "port", "cert", "subject"} for info in seen["infos"])
    assert content(host, seen["second"]) == expected_content()
    record = seen["record"]
    assert (record["is_a_snapshot"], record["cbt_enabled"], record["snapshot_of"]) == (True, True, seen["disk"])
    assert record["virtual_size"] == (SIZE if transport != "xml-rpc" else str(SIZE))
    assert seen["records"] > len(host.srs)
    assert {name: backup.counts[name] for name in CALLS} == CALLS
    assert seen["tasks"] == 0
    assert backup.counts["task.destroy"] == UPLOADS + (IN_BACKGROUND if waiting else 0)
