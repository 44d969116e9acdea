"""A bundle for tests: CBT is enabled on a snapshot."""

from typing import Any

STEPS: list[dict[str, Any]] = [
    {
        "do": "create",
        "sr": "sr:main",
        "type": "user",
        "size": 4 << 20,
        "raw": False,
        "makes": "disk-1",
        "saw": {"ok": "disk-1"},
    },
    {"do": "snapshot", "disk": "disk-1", "makes": "snapshot-1", "saw": {"ok": "snapshot-1"}},
    {"do": "enable", "disk": "snapshot-1", "saw": {"ok": ""}},
]
CHECK: dict[str, Any] = {"expected": [{"failed": "OPERATION_NOT_ALLOWED"}], "saw": {"ok": ""}}


def bundle(**changed: Any) -> dict[str, Any]:
    data = {
        "schema": "xencbt.bundle/1",
        "test": "suites.test_enable::test_a_snapshot_is_refused[of a disabled disk]",
        "requirement": ["ENABLE-15"],
        "reason": "VDI.enable_cbt must be refused",
        "fingerprint": "0123456789abcdef",
        "seed": 1,
        "suite": "0.1.0",
        "target": {
            "kind": "emulator",
            "product": "XenServer",
            "version": "8.4.0",
            "build": "emulated-0.1.0",
            "sr": "lvm",
            "profile": "xapi",
            "defects": ["enable-takes-snapshots"],
        },
        "steps": STEPS,
        "check": CHECK,
        "words": ["…"],
        "note": "",
        "exchange": None,
        "python": "",
        "xe": "",
    }
    return data | changed
