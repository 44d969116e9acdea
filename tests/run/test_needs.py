"""Tests are held to what they declared: at a real host a plan must not be a promise that a test breaks."""

from pathlib import Path

import pytest

from tests.run.command import xencbt

IMPORTS = "from xencbt.harness.decides import decides\nfrom xencbt.harness.needs import needs\n"
OWN = "@decides('ENABLE-01')\n@needs({declared})\ndef test_{name}(lab):\n    disk = lab.create_disk()\n    {body}\n"

UNDECLARED = [
    ("lab.require('raw-import')", "raw-import"),
    ("disk.write(block=1)", "raw-import"),
    ("disk.read()", "raw-export"),
    ("lab.consent('migrate')", "migrate"),
    ("lab.control.call_counts()", "control"),
    ("lab.create_disk(sr='second')", "sr:second"),
    ("lab.create_disk(type='metadata')", "special-vdi-types"),
    ("lab.create_disk(on_boot='reset')", "reset-on-boot"),
    ("lab.create_vm(disk, power_state='Running')", "vm-power"),
    ("lab.conditions.restart_toolstack()", "toolstack-restart"),
    ("lab.create_disk(size=2**30 + 1)", "reach=…"),
    ("lab.largest_size()", "reach=…"),
    ("\n    with lab.conditions.unplugged('main'): pass", "sr-unplug"),
]
"""What a test does, and what it would have to declare for it."""


def test_asking_for_what_was_not_declared_is_an_error(tmp_path: Path) -> None:
    own = [OWN.format(name=n, declared="'network-purpose'", body=body) for n, (body, _) in enumerate(UNDECLARED)]
    (tmp_path / "test_own.py").write_text(IMPORTS + "".join(own))
    ran = xencbt(tmp_path, "run", "--", "test_own.py")
    assert ran.exit == 4, ran.stdout + ran.stderr
    for number, (_, name) in enumerate(UNDECLARED):
        test = ran.tests[f"test_{number}"]
        assert test["verdict"] == "error"
        assert f"@needs({name if name == 'reach=…' else repr(name)})" in test["reason"]


@pytest.mark.heavy
def test_asking_for_what_was_declared_is_none(tmp_path: Path) -> None:
    body = "disk.write(block=1).read(); lab.create_disk(sr='second')"
    own = OWN.format(name="own", declared="'raw-import', 'raw-export', 'sr:second'", body=body)
    (tmp_path / "test_own.py").write_text(IMPORTS + own)
    ran = xencbt(tmp_path, "run", "--requirement", "ENABLE-01", "--", "test_own.py")
    assert ran.tests["test_own"]["verdict"] == "pass", ran.stdout
    assert ran.exit == 0


@pytest.mark.heavy
def test_a_name_nobody_knows_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text(IMPORTS + OWN.format(name="own", declared="'raw-imprt'", body="pass"))
    ran = xencbt(tmp_path, "run", "--", "test_own.py")
    assert ran.exit == 4
    assert "test_own: no capability or consent is called raw-imprt" in ran.document["problems"][0]["reason"]
