"""A bundle is read with distrust, and is what docs/bundle.schema.json says."""

import ast
import json
import os
import shlex
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # ships no types
import pytest

from tests.harness.witness.examples import CHECK, STEPS, bundle
from xencbt.harness.errors import UsageError
from xencbt.harness.witness.bundles import LARGEST_BUNDLE, Bundle, file_name, load_bundle, read_bundle
from xencbt.harness.witness.concluding import Word, conclude
from xencbt.harness.witness.python_script import python_script
from xencbt.harness.witness.standalone import right
from xencbt.harness.witness.steps import BadWitness
from xencbt.harness.witness.vocabulary import VERBS
from xencbt.harness.witness.xe_script import xe_script

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "bundle.schema.json").read_text())
REFUSED: dict[str, Any] = {"failed": "OPERATION_NOT_ALLOWED", "params": []}


def read(**changed: Any) -> Bundle:
    return read_bundle(bundle(**changed))


def test_a_bundle_reads_back_and_is_as_documented() -> None:
    told = read().as_json()
    jsonschema.Draft202012Validator(SCHEMA).validate(told)
    assert read_bundle(told).as_json() == told
    assert told["words"][-1] == "enable snapshot-1 → success; must give refused: OPERATION_NOT_ALLOWED"


def test_a_call_in_the_background_is_as_documented() -> None:
    told = read(steps=[STEPS[0], {**STEPS[1], "background": True}, STEPS[2]]).as_json()
    jsonschema.Draft202012Validator(SCHEMA).validate(told)
    assert told["words"][1] == "snapshot disk-1 as snapshot-1 in the background → success"


def test_the_schema_knows_every_word_of_the_vocabulary_and_no_other() -> None:
    step = SCHEMA["$defs"]["step"]["properties"]
    assert set(step["do"]["enum"]) == set(VERBS)
    assert {name for verb in VERBS.values() for name in verb.takes} <= set(step)


@pytest.mark.parametrize(
    "changed",
    [
        {"schema": "xencbt.bundle/2"},
        {"requirement": ["NO-99"]},
        {"requirement": []},
        {"seed": -1},
        {"seed": "1"},
        {"seed": 10**30},
        {"fingerprint": "zzz"},
        {"and": "more"},
        {"exchange": "x"},
        {"python": None},
        {"steps": []},
        {"check": {"expected": [{"succeeds": True}], "saw": {"ok": ""}}},
        {"check": {"expected": [{"failed": "X"}], "saw": {"ok": "something else"}}},
        {"target": {}},
        {"target": bundle()["target"] | {"profile": "../x"}},
        {"target": bundle()["target"] | {"defects": ["--help"]}},
    ],
)
def test_what_is_no_bundle_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(BadWitness):
        read(**changed)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b" " * (LARGEST_BUNDLE + 1)])
def test_a_file_that_is_no_bundle_is_a_usage_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(UsageError, match=r"x\.json"):
        load_bundle(tmp_path / "x.json")
    with pytest.raises(UsageError, match="cannot read"):
        load_bundle(tmp_path / "absent.json")


def test_names_of_files_are_plain_and_differ() -> None:
    names = {file_name(each) for each in ("a::b[../../x]", "a::b[..-..-x]", "a::b[\ud800]", "a" * 500)}
    assert len(names) == 4
    assert all(name.isascii() and "/" not in name and not name.startswith(".") and len(name) < 100 for name in names)


@pytest.mark.parametrize(
    ("saw", "word"),
    [
        ([{"ok": "disk-1"}, {"ok": "snapshot-1"}, {"ok": ""}], Word.FAILED),
        ([{"ok": "disk-1"}, {"ok": "snapshot-1"}, REFUSED], Word.FIXED),
        ([{"ok": "disk-1"}, {"ok": "snapshot-1"}, {"failed": "X", "params": []}], Word.FAILED),
        ([{"ok": "disk-1"}, REFUSED, None], Word.ERROR),
        ([{"ok": "disk-1"}, REFUSED, REFUSED], Word.ERROR),
        ([{"ok": "disk-1"}, {"ok": "snapshot-1"}, None], Word.ERROR),
        ([{"ok": "disk-1"}, {"ok": "snapshot-1"}, {"lost": True}], Word.ERROR),
        ([None, None, None], Word.ERROR),
    ],
)
def test_a_replay_is_concluded(saw: list[Any], word: Word) -> None:
    concluded = conclude(read().witness, saw, "it broke" if saw[0] is None else "")
    assert concluded.word is word
    assert concluded.reason


def test_drift_is_told_step_by_step() -> None:
    concluded = conclude(read().witness, [{"ok": "disk-1"}, {"ok": "snapshot-1"}, REFUSED])
    assert [str(drift) for drift in concluded.drifts] == [
        "step 3: enable snapshot-1: was success, now refused: OPERATION_NOT_ALLOWED[]"
    ]


EVERY: list[dict[str, Any]] = [
    *STEPS,
    {"do": "write", "disk": "disk-1", "ranges": [[0, 9, 1, False]]},
    {"do": "resize", "disk": "disk-1", "size": 8 << 20},
    {"do": "on-boot", "disk": "disk-1", "mode": "persist"},
    {"do": "create-vm", "makes": "vm-1"},
    {"do": "attach", "vm": "vm-1", "disk": "disk-1", "mode": "RW", "makes": "vbd-1"},
    {"do": "start", "vm": "vm-1", "paused": True},
    {"do": "disable", "disk": "disk-1", "saw": {"failed": "X", "params": []}},
    {"do": "list", "earlier": "snapshot-1", "later": "disk-1"},
]


def test_scripts_are_made_and_are_scripts(tmp_path: Path) -> None:
    marks = {"marks": [[0, 2], [7, 1]], "bytes": 8}
    check = {"expected": [marks], "saw": {"ok": {"marks": [], "bytes": 8}}}
    made = read(steps=EVERY, check=check, reason='a """ trap\nimport os; `id` $(id)')
    python, xe = python_script(made), xe_script(made)
    ast.parse(python)
    assert "xencbt.harness" not in python
    assert '# ENABLE-15: a """ trap import os; `id` $(id)\n' in python
    (tmp_path / "again.sh").write_text(xe)
    assert subprocess.run(["bash", "-n", tmp_path / "again.sh"], check=False).returncode == 0
    assert 'must 5 vdi-resize uuid="$disk_1" disk-size=8388608' in xe
    assert "\nimport os" not in xe + python.replace("\nimport os\n", "", 1)


def test_only_python_says_a_call_in_the_background() -> None:
    made = read(steps=[STEPS[0], {**STEPS[1], "background": True}, {**STEPS[2], "background": True}])
    python = python_script(made)
    ast.parse(python)
    assert "answer = host.must(2, in_background(host, 'VDI.snapshot', disk_1, {}))" in python
    assert "return in_background(host, 'VDI.enable_cbt', snapshot_1)" in python
    assert "xencbt.harness" not in python
    assert "in_background" not in python_script(read())
    assert xe_script(made) == ""


@pytest.mark.parametrize(
    "step",
    [
        {"do": "begin", "condition": "lost", "sr": "sr:main"},
        {"do": "guest-write", "disk": "disk-1", "ranges": [[0, 9, 1]]},
        {"do": "arm", "faults": [{"fault": "answer-lost", "at": "enable"}]},
    ],
)
def test_what_takes_an_emulated_host_has_no_script(step: dict[str, Any]) -> None:
    made = read(steps=[STEPS[0], step, *STEPS[1:]], check=CHECK)
    assert python_script(made) == ""
    assert xe_script(made) == ""


@pytest.mark.parametrize(
    "step",
    [
        {"do": "reimport-vm", "vm": "vm-1", "sr": "sr:main", "makes": "vm-2"},
        {"do": "can-send-vm", "vm": "vm-1", "disk": "disk-1", "sr": "sr:main"},
    ],
)
def test_what_takes_a_file_or_a_receiving_host_has_no_script(step: dict[str, Any]) -> None:
    made = read(steps=[STEPS[0], {"do": "create-vm", "makes": "vm-1"}, step, *STEPS[1:]], check=CHECK)
    assert python_script(made) == ""
    assert xe_script(made) == ""


@pytest.mark.parametrize(
    ("told", "word"),
    [
        ("Error code: X\nError parameters: , these are Unrelated", "FIXED"),
        ("Error code: X\nError parameters: , something else", "FAILED"),
        ("Error code: X\nError parameters: , no room", "FAILED"),
    ],
)
def test_scripts_ask_for_what_an_error_has_to_mention(tmp_path: Path, told: str, word: str) -> None:
    expected = {"failed": "X", "mentions": ["it's", "are unrelated", "no.room"]}
    check = {"expected": [expected], "saw": {"failed": "X", "params": ["", "something else"]}}
    made = read(steps=[STEPS[0], {"do": "destroy", "disk": "disk-1"}], check=check)
    fake, script = tmp_path / "xe", tmp_path / "again.sh"
    making = '[ "$1" = vdi-create ] && echo a-uuid && exit 0'
    fake.write_text(f"#!/bin/bash\n{making}\necho {shlex.quote(told)} >&2; exit 1\n")
    fake.chmod(0o755)
    script.write_text(xe_script(made))
    ran = subprocess.run(
        ["bash", script],
        env={"PATH": os.environ["PATH"], "XE": str(fake), "SR": "sr"},
        capture_output=True,
        check=False,
    )
    assert ran.stdout.decode().splitlines()[-1] == word
    host: Any = SimpleNamespace(plain=lambda value: value)
    answer = {"failed": "X", "params": ["", told.partition(": , ")[2]]}
    assert right(host, answer, expected) is (word == "FIXED")
    assert f"EXPECTED = {[expected]!r}" in python_script(made)
