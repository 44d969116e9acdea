"""One run at a time on an SR: the second is refused, and a claim ends with the process that holds it."""

import subprocess
import sys
from pathlib import Path

import pytest

from xencbt.harness.claim import Claim
from xencbt.harness.errors import HarnessError, UsageError

HOLD = """
import sys
from pathlib import Path
from xencbt.harness.claim import Claim
claim = Claim(Path(sys.argv[1]), "pool", "sr", "run 7, process 123")
print("held", flush=True)
sys.stdin.read()
"""


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    with Claim(tmp_path, "pool", "sr", "run 7, process 123"):
        with pytest.raises(UsageError, match=r"the SR sr \(run 7, process 123\)"):
            Claim(tmp_path, "pool", "sr", "run 8")
        Claim(tmp_path, "pool", "other", "run 8").close()
        Claim(tmp_path, "elsewhere", "sr", "run 8").close()
    Claim(tmp_path, "pool", "sr", "run 8").close()


def test_it_ends_with_its_process(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match="process 123"):
            Claim(tmp_path, "pool", "sr", "x")
        holder.kill()
        holder.wait(10)
    Claim(tmp_path, "pool", "sr", "x").close()


def test_a_child_of_the_holder_does_not_keep_it(tmp_path: Path) -> None:
    claim = Claim(tmp_path, "pool", "sr", "x")
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as child:
        claim.close()
        Claim(tmp_path, "pool", "sr", "y").close()
        child.kill()


def test_what_a_host_calls_its_pool_stays_inside_the_folder(tmp_path: Path) -> None:
    Claim(tmp_path / "claims", "../../pool", "/etc/sr", "x").close()
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.lock")] == [
        "claims/______pool/_etc_sr.lock"
    ]


def test_a_folder_that_cannot_be_made_is_trouble_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HarnessError, match="cannot claim the SR sr"):
        Claim(tmp_path / "file", "pool", "sr", "x")
