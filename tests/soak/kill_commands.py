"""The same proof with the whole command: `xencbt run` is killed at random moments, and `xencbt clean` leaves no trace.

    python -m tests.soak.kill_commands --runs 24

The host is an emulator that was started separately, and no run is shown its control token. A run is killed at work, or
as soon as the host has carried out a call whose answer is then lost, or a snapshot that is then repeated.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.soak.kill_runs import Database, NotAsBefore, database, difference, stranger
from xencbt.fixtures.targets import Target, start_emulator
from xencbt.harness.exchange import Recorder
from xencbt.harness.journal import FILE
from xencbt.harness.masking import Secrets
from xencbt.harness.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ALLOWED = "vm-power,faults,special-vdi-types,migrate,sr-unplug,toolstack-restart,network-purpose"
LONGEST_S = 8.0
"""Seconds after its first intent within which a run at work is killed."""

DEADLINE_S = 180.0
PAUSE_S = 0.005


@dataclass(frozen=True)
class Moment:
    """When a run is killed: within so many seconds, or at one of the first calls of a method; and what it runs."""

    words: tuple[str, ...]
    method: str = ""


MOMENTS: Mapping[str, Moment] = {
    "at work": Moment(("--suite", "enable", "--suite", "destroy", "--suite", "lifecycle")),
    "lost answer of a snapshot": Moment(("--faults", "answer-lost"), "VDI.snapshot"),
    "lost answer of a create": Moment(("--faults", "answer-lost"), "VDI.create"),
    "repeated snapshot": Moment(("--faults", "duplicate"), "VDI.snapshot"),
}
CALLS = 12
"""Among so many of the first calls of that method, the one at which a run is killed is drawn."""


@dataclass
class Place:
    """The host that the runs are about, and where their traces lie."""

    target: Target
    session: Session
    scratch: Path

    @property
    def journals(self) -> Path:
        """The folder of the runs' journals."""
        return self.scratch / "journals"

    def command(self, *words: str) -> subprocess.Popen[str]:
        """Start `xencbt` with these words; it is at the head of a process group of its own."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("XENCBT_")}
        environment |= {"XENCBT_PASSWORD": self.target.password, "XDG_STATE_HOME": str(self.scratch / "state")}
        return subprocess.Popen(
            [sys.executable, "-m", "xencbt.harness.cli", *words, "--journal-dir", str(self.journals)],
            cwd=self.scratch,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def calls(self, method: str) -> int:
        """Return how often the host has carried out that method."""
        assert self.target.control is not None
        return sum(self.target.control.call_counts().get(method, {}).values())

    def intents(self) -> int:
        """Return how many lines all journals have, but for their headers."""
        return sum(len(path.read_bytes().splitlines()) - 1 for path in self.journals.glob(f"*/{FILE}"))


def killed(place: Place, moment: Moment, draws: random.Random) -> None:
    """Start a run, and kill it at its moment; raises NotAsBefore where it ended before that."""
    known, executed = place.intents(), place.calls(moment.method)
    wanted = draws.randint(1, CALLS)
    patience = draws.uniform(0, LONGEST_S)
    out = place.scratch / f"out-{draws.getrandbits(32):08x}"
    kinds = {"second": "second", "file": "file", "no-cbt": "no-cbt", "no-pbd": "unrounded"}
    special = [f"--sr-kind={kind}={place.target.srs[sr]}" for kind, sr in kinds.items()]
    words = ["run", "--target", place.target.url, "--sr", place.target.srs["lvm"], "--allow", ALLOWED, *special]
    words += ["--seed", str(draws.getrandbits(32)), "--out", str(out), "--quiet", *moment.words]
    run = place.command(*words)
    with run:
        try:
            if moment.method:
                _wait(lambda: place.calls(moment.method) >= executed + wanted, run)
            else:
                _wait(lambda: place.intents() > known, run)
                time.sleep(patience)  # the random moment itself
            if run.poll() is not None:
                raise NotAsBefore(f"the run ended by itself with {run.returncode}:\n{_said(run)}")
        finally:
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()


def _said(run: subprocess.Popen[str]) -> str:
    return run.stdout.read() if run.stdout is not None else ""


def cleaned(place: Place) -> tuple[int, str]:
    """Run the whole `xencbt clean`; exit code and what it printed."""
    with place.command("clean") as clean:
        said, _ = clean.communicate(timeout=DEADLINE_S)
        return clean.returncode, said


def prove(runs: int, seed: int, *, show: bool = True) -> Counter[str]:
    """Kill `runs` commands and clean up after each; raises NotAsBefore where anything is not as it was.

    Returns how many were killed at which moment, and `left`: how many objects the kills had left.
    """
    draws, tally = random.Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory() as scratch, start_emulator() as target:
        session = Session.login(target.endpoint, target.user, target.password, Recorder(Secrets()))
        place = Place(target, session, Path(scratch))
        with stranger(session, target):
            before = database(session)
            for number in range(runs):
                name = tuple(MOMENTS)[number % len(MOMENTS)]
                killed(place, MOMENTS[name], draws)
                tally["left"] += _left(before, database(place.session))
                tally[name] += 1
                code, said = cleaned(place)
                moved = difference(before, database(place.session))
                if code != 0 or moved:
                    journals = [path.read_text() for path in sorted(place.journals.glob(f"*/{FILE}"))[-1:]]
                    raise NotAsBefore(
                        "\n".join([f"run {number} ({name}): clean ended with {code}", said, *moved, *journals])
                    )
                if show:
                    print(f"{number + 1} of {runs}: {name}", flush=True)
        session.close()
    return tally


def _left(before: Database, now: Database) -> int:
    return sum(len(now[cls].keys() - before[cls].keys()) for cls in ("VDI", "VM", "VBD"))


def _wait(arrived: Callable[[], bool], run: subprocess.Popen[str]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not arrived():
        if run.poll() is not None:
            raise NotAsBefore(f"the run ended by itself with {run.returncode}:\n{_said(run)}")
        if time.monotonic() > end:
            raise NotAsBefore("the run did not come to the moment of its death")
        time.sleep(PAUSE_S)  # between two looks at a condition that has a deadline


def main() -> int:
    """Run the proof from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=24)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    tally = prove(chosen.runs, chosen.seed)
    left = tally.pop("left")
    moments = ", ".join(f"{count} {name}" for name, count in tally.items())
    print(f"{chosen.runs} commands killed ({moments}): {left} objects left by the kills")
    print("after each clean, nothing of ours left and nothing else changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
