"""The interceptor by hand: `xencbt proxy` in front of a host, and the vocabulary that `xencbt faults` prints."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.proxies.client import Client, seen
from xencbt.fixtures.targets import Target
from xencbt.harness.faults import KINDS

PLAN = """
[[faults]]
fault = "answer-lost"
method = "VDI.get_all"
nth = 2

[[faults]]
fault = "api-error"
method = "VDI.get_all_records"
phase = "after"
parameters = { code = "TOO_MANY_PENDING_TASKS" }
"""


@contextmanager
def proxying(*words: str) -> Iterator[tuple["subprocess.Popen[str]", dict[str, Any]]]:
    command = [sys.executable, "-m", "xencbt.harness.cli", "proxy", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def stopped(process: "subprocess.Popen[str]") -> list[dict[str, Any]]:
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return [json.loads(line) for line in out.splitlines()]


def test_receipts_come_live_and_whole_in_the_end(target: Target, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN)
    with proxying("--upstream", target.url, "--plan", str(plan)) as (process, listening):
        assert listening["event"] == "listening"
        assert listening["upstream"] == target.url
        with Client(listening["url"], "no session") as client:
            outcomes = [seen(client, client.call("VDI.get_all")) for _ in range(3)]
            records = client.call("VDI_get_all_records")
        first, second, last = stopped(process)
    assert outcomes == ["refusal", "lost", "refusal"]
    assert "TOO_MANY_PENDING_TASKS" in str(records)
    assert [each["event"] for each in (first, second, last)] == ["fired", "fired", "stopped"]
    assert (first["receipt"]["fault"], first["receipt"]["firings"][0]["call"]) == ("answer-lost", 2)
    assert second["receipt"]["firings"][0]["answer"] == "SESSION_INVALID"  # what the host really said
    assert [receipt["fired"] for receipt in last["receipts"]] == [True, True]


def test_over_tls_it_says_what_to_trust(target: Target) -> None:
    with proxying("--upstream", target.url, "--tls") as (process, listening):
        with Client(listening["url"], "no session", trusted=Path(listening["certificate"])) as client:
            assert seen(client, client.call("VDI.get_all")) == "refusal"
        (last,) = stopped(process)
    assert last == {"event": "stopped", "receipts": []}


@pytest.mark.parametrize(
    ("words", "plan", "message"),
    [
        (("--listen", "0.0.0.0:8080"), None, "listens on loopback only"),
        (("--listen", "127.0.0.1"), None, "write ADDRESS:PORT"),
        (("--listen", "127.0.0.1:70000"), None, "write ADDRESS:PORT"),
        (("--plan", "nowhere.toml"), None, "cannot read the plan nowhere.toml"),
        ((), "faults = 7", "faults: must be a list of faults"),
        ((), "faults = [", "plan: is no TOML"),
        ((), '[[faults]]\nfault = "answer-lost"\nmethod = "VDI.frobnicate"', "faults[0].method: no call of the target"),
        ((), '[[faults]]\nfault = "earthquake"\nmethod = "*"', "faults[0].fault: no such fault: 'earthquake'"),
    ],
)
def test_what_cannot_be_done_is_said_and_is_3(
    target: Target, tmp_path: Path, words: tuple[str, ...], plan: str | None, message: str
) -> None:
    if plan is not None:
        (tmp_path / "plan.toml").write_text(plan)
        words = ("--plan", str(tmp_path / "plan.toml"))
    ran = subprocess.run(
        [sys.executable, "-m", "xencbt.harness.cli", "proxy", "--upstream", target.url, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 3, ran.stderr
    assert message in ran.stderr
    assert not ran.stdout


def test_the_vocabulary_is_listed() -> None:
    words = subprocess.run(
        [sys.executable, "-m", "xencbt.harness.cli", "faults", "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert {each["name"]: each for each in json.loads(words.stdout)} == {
        name: json.loads(json.dumps(kind.as_json())) for name, kind in KINDS.items()
    }
