"""What every stand-alone script begins with: this module's own text goes into it. Needs the official binding alone.

Nothing here may import anything else of the project.
"""

import argparse
import base64
import getpass
import hashlib
import http.client
import os
import re
import socket
import ssl
import struct
import sys
import time
import urllib.parse
import xml.parsers.expat
import xmlrpc.client
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import XenAPI

BLOCK = 65536
DEADLINE_S = 120.0
NULL = "OpaqueRef:NULL"
NOBODY = "OpaqueRef:00000000-0000-4000-8000-00000000dead"
NOBODY_UUID = "00000000-0000-4000-8000-00000000dead"


class Trouble(Exception):
    """A step on the way could not be done: nothing is shown."""


BROKEN = (OSError, Trouble, xmlrpc.client.Error, http.client.HTTPException, xml.parsers.expat.ExpatError)
"""What says nothing of the failure: no host there, none that answers as one does, or a step that could not be done."""


class Host:
    """The host under test: calls, transfers, and the objects that the script made, to remove them at the end."""

    def __init__(self, url: str, user: str, password: str, srs: Mapping[str, str], *, insecure: bool) -> None:
        self.url = urllib.parse.urlsplit(url)
        self.insecure = insecure
        self.session = XenAPI.Session(url, ignore_ssl=insecure)
        self.session.xenapi.login_with_password(user, password, "1.0", "xencbt replay")
        self.names: dict[str, str] = {}
        self.made: list[tuple[str, str]] = []
        self.srs = {kind: self.call("SR.get_by_uuid", uuid) for kind, uuid in srs.items()}
        for kind, ref in self.srs.items():
            self.names.setdefault(ref, f"sr:{kind}")

    def call(self, method: str, *params: object) -> Any:
        """Make a call that must succeed; raises Trouble."""
        answer = self.attempt(method, *params)
        if "failed" in answer:
            raise Trouble(f"{method}: {answer['failed']} {answer['params']}")
        return answer["ok"]

    def attempt(self, method: str, *params: object) -> dict[str, Any]:
        """Make a call and return what came of it, as it is."""
        cls, _, name = method.partition(".")
        try:
            return {"ok": getattr(getattr(self.session.xenapi, cls), name)(*params)}
        except XenAPI.Failure as failure:
            return {"failed": failure.details[0], "params": list(failure.details[1:])}

    def must(self, number: int, answer: Mapping[str, Any]) -> Any:
        """Go on only where a step succeeded, else raise Trouble."""
        if "failed" in answer:
            raise Trouble(f"step {number}: {answer['failed']} {answer['params']}")
        return answer["ok"]

    def named(self, alias: str, cls: str, ref: str) -> str:
        """Remember what a step made: it is removed at the end, and goes by its alias in answers."""
        self.made.append((cls, ref))
        return self.known(alias, cls, ref)

    def known(self, alias: str, cls: str, ref: str) -> str:
        """Let an object go by its alias in answers."""
        self.names[ref] = alias
        if cls == "VDI":
            self.names[self.call("VDI.get_uuid", ref)] = alias
        return ref

    def disk(self, sr: str, vdi_type: str, size: int, sm_config: Mapping[str, str]) -> dict[str, Any]:
        """Create a disk."""
        record = {
            "name_label": "xencbt replay",
            "name_description": "made by a script that shows a failure again, and removed by it",
            "SR": self.srs[sr],
            "virtual_size": str(size),
            "type": vdi_type,
            "sharable": False,
            "read_only": False,
            "other_config": {},
            "xenstore_data": {},
            "sm_config": dict(sm_config),
            "tags": [],
        }
        return self.attempt("VDI.create", record)

    def vm(self) -> dict[str, Any]:
        """Create a small VM that finds nothing to boot."""
        memory = str(256 << 20)
        record = {
            "name_label": "xencbt replay",
            "name_description": "made by a script that shows a failure again, and removed by it",
            "user_version": "1",
            "is_a_template": False,
            "affinity": NULL,
            "memory_static_max": memory,
            "memory_dynamic_max": memory,
            "memory_dynamic_min": memory,
            "memory_static_min": str(128 << 20),
            "VCPUs_params": {},
            "VCPUs_max": "1",
            "VCPUs_at_startup": "1",
            "actions_after_shutdown": "destroy",
            "actions_after_reboot": "restart",
            "actions_after_crash": "destroy",
            "HVM_boot_policy": "BIOS order",
            "HVM_boot_params": {"order": "c"},
            "platform": {},
            "other_config": {},
            "recommendations": "",
            "ha_restart_priority": "",
            "xenstore_data": {},
        } | dict.fromkeys(
            ("PV_bootloader", "PV_kernel", "PV_ramdisk", "PV_args", "PV_bootloader_args", "PV_legacy_args", "PCI_bus"),
            "",
        )
        return self.attempt("VM.create", record)

    def vbd(self, vm: str, disk: str, mode: str) -> dict[str, Any]:
        """Give a VM a disk."""
        taken = {self.call("VBD.get_userdevice", vbd) for vbd in self.call("VM.get_VBDs", vm)}
        record = {
            "VM": vm,
            "VDI": disk,
            "userdevice": next(str(number) for number in range(256) if str(number) not in taken),
            "bootable": False,
            "mode": mode,
            "type": "Disk",
            "unpluggable": True,
            "empty": False,
            "other_config": {},
            "qos_algorithm_type": "",
            "qos_algorithm_params": {},
        }
        return self.attempt("VBD.create", record)

    def write(self, disk: str, ranges: Sequence[tuple[int, int, int, bool]]) -> dict[str, Any]:
        """Write ranges (offset, length, number of the content, whether each block has the same) to a disk."""

        def send(sock: socket.socket) -> None:
            for offset, length, number, repeated in ranges:
                sock.sendall(struct.pack("<QI", offset, length) + content(number, length, repeated))
            sock.sendall(struct.pack("<QI", 0, 0))

        return self._transfer("PUT", "/import_raw_vdi", {"vdi": disk, "chunked": "true"}, send)

    def read(self, disk: str, offset: int, length: int) -> dict[str, Any]:
        """Read a range of a disk: how many bytes came, and their SHA-256."""
        return self._transfer("GET", "/export_raw_vdi", {"vdi": disk, "format": "raw"}, None, offset, length)

    def _transfer(
        self,
        verb: str,
        path: str,
        options: Mapping[str, str],
        send: Callable[[socket.socket], None] | None,
        offset: int = 0,
        length: int = 0,
    ) -> dict[str, Any]:
        task = self.call("task.create", "xencbt replay", "")
        query = urllib.parse.urlencode({"session_id": self.session._session, **options, "task_id": task})
        try:
            with self._connected() as sock:
                head = f"{verb} {path}?{query} HTTP/1.0\r\nHost: {self.url.netloc}\r\n\r\n"
                sock.sendall(head.encode())
                status, data = _head(sock)
                if status == 200 and send is not None:
                    send(sock)
                data = _rest(sock, data, None if send is not None else offset + length)
            return self._ended(task, {"ok": "" if send is not None else told(data[offset : offset + length])})
        finally:
            self.attempt("task.destroy", task)

    def _connected(self) -> socket.socket:
        host, port = self.url.hostname or "", self.url.port or (443 if self.url.scheme == "https" else 80)
        sock = socket.create_connection((host, port), timeout=DEADLINE_S)
        if self.url.scheme != "https":
            return sock
        context = ssl.create_default_context()
        if self.insecure:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(sock, server_hostname=host)

    def _ended(self, task: str, answer: dict[str, Any]) -> dict[str, Any]:
        end = time.monotonic() + DEADLINE_S
        while (status := self.call("task.get_status", task)) == "pending":
            if time.monotonic() > end:
                raise Trouble("a transfer does not end")
            time.sleep(0.1)
        if status == "failure" and (send_failed := self.call("task.get_error_info", task)):
            return {"failed": send_failed[0], "params": list(send_failed[1:])}
        return answer

    def remove(self) -> None:
        """Remove what was made, newest first; says what is left."""
        for cls, ref in [*(one for one in reversed(self.made) if one[0] == "VM"), *reversed(self.made)]:
            if cls == "VM" and "ok" in self.attempt("VM.get_uuid", ref):
                self.attempt("VM.hard_shutdown", ref)
                disks = [self.attempt("VBD.get_VDI", vbd) for vbd in self.attempt("VM.get_VBDs", ref).get("ok", [])]
                self.attempt("VM.destroy", ref)
                self.made += [("VDI", one["ok"]) for one in disks if "ok" in one]
        for cls, ref in reversed(self.made):
            if cls == "VDI" and ref != NULL and "ok" in self.attempt("VDI.get_uuid", ref):
                answer = self.attempt("VDI.destroy", ref)
                if "failed" in answer and "ok" in self.attempt("VDI.get_uuid", ref):
                    print(
                        f"left on the host: VDI {self.call('VDI.get_uuid', ref)}: {answer['failed']}", file=sys.stderr
                    )
        self.session.xenapi.session.logout()

    def plain(self, value: object) -> Any:
        """Return a value with aliases for the script's own objects, and without what is of one host."""
        if isinstance(value, Mapping):
            return {str(key): self.plain(one) for key, one in value.items()}
        if isinstance(value, list):
            items = [self.plain(one) for one in value]
            return sorted(items) if all(isinstance(one, str) for one in items) else items
        if not isinstance(value, str):
            return value
        if value in self.names or value == NULL:
            return self.names.get(value, "null")
        value = re.sub(r"OpaqueRef:[0-9A-Za-z-]+", lambda found: f"<{self.names.get(found[0], 'reference')}>", value)
        uuid = r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"
        value = re.sub(uuid, lambda found: f"<{self.names.get(found[0], 'uuid')}>", value)
        return re.sub(r"\b\d{8}T\d\d:\d\d:\d\d(?:\.\d+)?Z?", "<time>", value)

    def record(self, record: object) -> Any:
        """Return a record in the same way; of other_config only who left something there."""
        if not isinstance(record, Mapping):
            return self.plain(record)
        told = {key: self.plain(value) for key, value in record.items()}
        if isinstance(record.get("other_config"), Mapping):
            told["other_config"] = sorted(record["other_config"])
        return told


def _head(sock: socket.socket) -> tuple[int, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        part = sock.recv(65536)
        if not part:
            raise Trouble("the host closed the connection of a transfer")
        data += part
    head, _, rest = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), rest


def _rest(sock: socket.socket, data: bytes, wanted: int | None) -> bytes:
    while wanted is None or len(data) < wanted:
        part = sock.recv(1 << 20)
        if not part:
            break
        data += part
    return data


def content(number: int, length: int, repeated: bool) -> bytes:  # noqa: FBT001  a column of the script's data
    """Return the bytes behind the number of a content; 0 is zeros."""
    if number == 0:
        return bytes(length)
    data = hashlib.shake_128(b"xencbt witness " + str(number).encode()).digest(
        min(length, BLOCK) if repeated else length
    )
    return (data * (length // BLOCK + 1))[:length] if repeated else data


def told(data: bytes) -> dict[str, Any]:
    """Say what was read."""
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def blocks(bitmap: object) -> set[int] | None:
    """Return the blocks that a bitmap marks, most significant bit first; None where it is none."""
    try:
        data = base64.b64decode(str(bitmap), validate=True)
    except ValueError:
        return None
    return {8 * at + bit for at, byte in enumerate(data) for bit in range(8) if byte & (0x80 >> bit)}


def right(host: Host, answer: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Tell whether an answer is an allowed one."""
    if "failed" in expected:
        params = [host.plain(one) for one in answer.get("params", ())]
        if answer.get("failed") != expected["failed"]:
            return False
        if "mentions" in expected:
            return any(text.casefold() in str(one).casefold() for text in expected["mentions"] for one in params)
        return "params" not in expected or compared(params) == compared(expected["params"])
    if "ok" not in answer:
        return False
    value = answer["ok"]
    if "succeeds" in expected:
        return True
    if "gives" in expected:
        return bool(host.plain(value) == expected["gives"])
    if "has" in expected:
        record = host.record(value)
        return isinstance(record, Mapping) and all(record.get(key) == one for key, one in expected["has"].items())
    marked = blocks(value)
    if marked is None or "listed" in expected:
        return marked is not None
    runs = expected.get("marks", expected.get("marks_at_most"))
    wanted = {block for first, count in runs for block in range(first, first + count)}
    fits = len(base64.b64decode(value)) == expected["bytes"]
    return fits and (wanted <= marked if "marks" in expected else marked <= wanted)


def compared(params: Sequence[object]) -> list[object]:
    """Leave out parameters that are texts for people."""
    return [one if len(str(one)) <= 60 and " " not in str(one) else "…" for one in params]


def main(steps: Callable[[Host], dict[str, Any]], expected: Sequence[Mapping[str, Any]], needed: Sequence[str]) -> int:
    """Log in, carry out the steps, and say FIXED (0), FAILED (1) or ERROR (4)."""
    parser = argparse.ArgumentParser(
        description="Shows a failure again. The password comes from XENCBT_PASSWORD, or is asked."
    )
    parser.add_argument("url", help="https://HOST")
    parser.add_argument("--user", default="root")
    parser.add_argument("--sr", action="append", default=[], metavar="[KIND=]UUID", help="where disks are made")
    parser.add_argument("--ca", help="PEM file that verifies the host's certificate")
    parser.add_argument("--insecure", action="store_true", help="accept any certificate")
    chosen = parser.parse_args()
    if chosen.ca:
        os.environ["SSL_CERT_FILE"] = chosen.ca
    srs = dict(("main=" + each if "=" not in each else each).split("=", 1) for each in chosen.sr)
    lacking = [kind for kind in needed if kind not in srs]
    if lacking:
        parser.error(
            f"--sr {' --sr '.join('UUID' if kind == 'main' else f'{kind}=UUID' for kind in lacking)} is needed"
        )
    password = os.environ.get("XENCBT_PASSWORD") or getpass.getpass(f"Password of {chosen.user} at {chosen.url}: ")
    try:
        host = Host(chosen.url, chosen.user, password, srs, insecure=chosen.insecure)
    except (*BROKEN, XenAPI.Failure) as error:
        print(f"ERROR: {error}")
        return 4
    try:
        answer = steps(host)
    except BROKEN as error:
        print(f"ERROR: {error}")
        return 4
    else:
        fixed = any(right(host, answer, each) for each in expected)
        print("answered:", str(host.plain(answer))[:2000])
        print("expected:", " or ".join(map(str, expected)))
        print("FIXED" if fixed else "FAILED")
        return 0 if fixed else 1
    finally:
        try:
            host.remove()
        except (*BROKEN, XenAPI.Failure) as error:
            print(f"clean-up: {error}", file=sys.stderr)
