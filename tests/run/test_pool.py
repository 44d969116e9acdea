"""Whole runs against a pool of three hosts: as green as against one, by the master, by a member, and started here."""

from pathlib import Path

import pytest

from tests.run.command import xencbt
from xencbt.fixtures.targets import start_emulator

CHOSEN = ("--requirement", "DISABLE-04", "--requirement", "LIST-07", "--seed", "3")
"""The second writes and takes snapshots; of the first, one test unplugs the SR from every host."""

MEMBER = "127.0.0.3"


@pytest.mark.heavy
def test_a_run_starts_a_pool_where_told(tmp_path: Path) -> None:
    ran = xencbt(tmp_path, "run", "--emulator-hosts", "3", *CHOSEN)
    assert ran.exit == 0, ran.stdout + ran.stderr
    assert {"pass"} == {ran.verdicts[requirement] for requirement in ("DISABLE-04", "LIST-07")}
    assert "3 hosts" in ran.stdout


@pytest.mark.heavy
def test_a_run_at_a_member_of_a_pool_judges_the_pool(tmp_path: Path) -> None:
    with start_emulator(hosts=3, tls=True) as pool:
        assert pool.control is not None
        assert pool.certificate is not None
        extra = {"XENCBT_PASSWORD": pool.password, "XENCBT_CONTROL_TOKEN": pool.control.token}
        url = pool.url.replace("127.0.0.1", MEMBER)
        words = ("--target", url, "--ca", str(pool.certificate), "--sr", pool.srs["lvm"], *CHOSEN)
        ran = xencbt(tmp_path, "run", *words, extra=extra)
    assert ran.exit == 0, ran.stdout + ran.stderr
    assert ran.document["target"]["url"] == pool.url


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--emulator-hosts", "4"), "1 to 3"),
        (("--emulator-hosts", "0"), "1 to 3"),
        (("--emulator-hosts", "2", "--target", "https://127.0.0.1", "--sr", "x"), "names another one"),
    ],
)
def test_pools_that_cannot_be_started_are_usage_errors(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    ran = xencbt(tmp_path, "run", *CHOSEN, *words)
    assert ran.exit == 3
    assert said in ran.stderr
