"""Secrets stay out of what pytest itself writes, too."""

from pathlib import Path

from tests.run.command import xencbt
from tests.run.test_earned import pytest_run


def test_local_variables_shown_by_pytest_are_masked(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text(
        "import pathlib, pytest\n"
        "from xencbt.harness.decides import decides\n"
        "from xencbt.harness.session import Session\n"
        "@decides('ENABLE-01')\n"
        "def test_wrong_user(disk):\n"
        "    bench = disk.lab.bench\n"
        "    told = (bench.target.password, bench.target.control.token, disk.lab.session.ref)\n"
        "    pathlib.Path('told').write_text('\\n'.join(told))\n"
        "    Session.login(bench.target.endpoint, 'nobody', bench.target.password, bench.recorder)\n"
        "@decides('ENABLE-02')\n"
        "def test_control(disk):\n"
        "    disk.lab.control.guest_write('nothing', [(0, b'x')])\n"
        "@decides('ENABLE-03')\n"
        "def test_reference(disk):\n"
        "    reference = disk.lab.session.ref\n"
        "    print(reference)\n"
        "    assert disk.cbt_enabled\n"
    )
    ran = pytest_run(tmp_path, "test_own.py", "-l", "--tb=long", "--junitxml=j.xml", "-o", "junit_logging=all")
    assert ran.returncode == 1, ran.stdout
    secrets = (tmp_path / "told").read_text().split()
    (tmp_path / "told").unlink()
    out = str(tmp_path / "xencbt-out")
    for words in (
        ["compare", out, out, "--html=c.html", "--markdown=c.md", "--json=c.json"],
        ["trend", out, "--html=t.html"],
    ):
        assert xencbt(tmp_path, *words).exit == 0
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    texts = {str(path): path.read_text() for path in written} | {"stdout": ran.stdout, "stderr": ran.stderr}
    assert "password" in texts[str(tmp_path / "j.xml")], "local variables are shown"
    assert not [where for where, text in texts.items() for secret in secrets if secret in text]
