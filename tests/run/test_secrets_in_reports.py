"""No report of a run tells a secret, however loudly a test shouts it: each artefact is read, packed parts unpacked."""

import base64
import json
import os
import re
import zlib
from pathlib import Path

import pytest

from tests.foreign import require_packages
from tests.run.command import Ran, xencbt

SHOUTING = """
import pathlib
from xencbt.fixtures.exports import addresses
from xencbt.harness.decides import decides
from xencbt.harness.verdicts import Violation

@decides("EXPORT-04")
def test_shouts(disk):
    bench, session = disk.lab.bench, disk.lab.session
    with disk.lab.conditions.served_over_nbd("insecure_nbd"):
        name = addresses(disk)[0].name
    token = name.partition("session_id=")[2]
    secrets = (bench.target.password, session.ref, token, bench.target.control.token)
    pathlib.Path("told").write_text("\\n".join(secrets))
    session.call("VDI.set_name_label", disk.ref, " ".join(secrets))
    loud = " ".join(secrets)
    raise Violation(f"reason {loud}", expected=secrets, actual=f"{name} {loud}", requirements=("EXPORT-04",))
"""


@pytest.fixture(scope="module")
def shouted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ran, list[str]]:
    folder = tmp_path_factory.mktemp("shouted")
    (folder / "test_own.py").write_text(SHOUTING, encoding="utf-8")
    ran = xencbt(folder, "run", "--", "test_own.py")
    assert ran.exit == 1, ran.stdout + ran.stderr
    secrets = (folder / "told").read_text(encoding="utf-8").split("\n")
    assert len(set(secrets)) >= 3, "password, session and control token differ"
    assert all(len(secret) > 7 for secret in secrets)
    return ran, secrets


def texts(folder: Path) -> dict[str, str]:
    """Return every file of `folder` as text, with what report.html packs."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            for chunk in re.findall(r'id="chunk-\d+">([^<]+)<', text):
                text += zlib.decompress(base64.b64decode(chunk)).decode()
            found[path.name] = text
    return found


def test_no_artefact_of_a_run_tells_a_secret(shouted: tuple[Ran, list[str]]) -> None:
    ran, secrets = shouted
    found = texts(ran.folder) | {"stdout": ran.stdout, "stderr": ran.stderr}
    assert found.keys() >= {"report.html", "summary.md", "run.json", "junit.xml", "events.jsonl"}
    assert "•••" in found["report.html"]
    assert "•••" in found["summary.md"]
    spellings = [spelling for secret in secrets for spelling in (secret, json.dumps(secret)[1:-1])]
    assert not [(name, secret) for name, text in found.items() for secret in spellings if secret in text]


def test_the_page_of_allure_tells_none_either(shouted: tuple[Ran, list[str]]) -> None:
    programs = require_packages("allure") / ".bin"
    ran, secrets = shouted
    made = xencbt(
        ran.folder.parent, "allure", "xencbt-out", extra={"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    )
    assert made.exit == 0, made.stdout + made.stderr
    page = (ran.folder / "allure.html").read_text(encoding="utf-8")
    carried = re.findall(r'"([A-Za-z0-9+/]{40,}={0,2})"', page)
    unpacked = [base64.b64decode(text + "=" * (-len(text) % 4)).decode("utf-8", "replace") for text in carried]
    assert any("•••" in text for text in unpacked), "what the page carries was read"
    history = (ran.folder.parent / "allure-history.jsonl").read_text(encoding="utf-8")
    assert not [secret for secret in secrets for text in (page, history, *unpacked) if secret in text]
