"""The proof of journal and cleaning: runs are killed at random moments, and `xencbt clean` leaves no trace of them.

    python -m tests.soak.kill_runs --runs 200

Each run is a process of its own, killed by SIGKILL: at work, inside a lost answer of a create, snapshot or clone, or
inside a duplicated snapshot or create. After each, `xencbt clean` must leave the whole database of the host, with a
stranger's objects that look like ours, as it was before, and a live run's journal and objects untouched.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import select
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.soak.busy_run import MODES, PLAIN, warm_up, work
from xencbt.fixtures.bench import Bench
from xencbt.fixtures.lab import Lab
from xencbt.fixtures.targets import Target, start_emulator
from xencbt.harness.cli import main as xencbt
from xencbt.harness.exchange import Recorder
from xencbt.harness.journal import FILE, TAG, read
from xencbt.harness.masking import Secrets
from xencbt.harness.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

NOT_COMPARED = {
    "session": "each login makes one",
    "task": "each call makes one",
    "message": "what the host told about a disk outlives the disk",
}
VOLATILE: dict[tuple[str, str], str] = {}
LONGEST_S = {PLAIN: 0.6}
SHORTEST_FAULT_S = 0.15
AFTER_THE_CALL = 0.5
"""Share of the disturbed calls that are over when the run is killed: the answer is lost for sure, or it came twice."""
HEARD_S = 60.0

Database = dict[str, dict[str, Any]]


class NotAsBefore(AssertionError):
    """Cleaning left something, took something, or said something else than it did."""


@dataclass
class Tally:
    """What was seen."""

    runs: int = 0
    modes: Counter[str] = field(default_factory=Counter)
    open_intents: int = 0
    journalled: int = 0
    left_objects: int = 0

    def __str__(self) -> str:
        modes = ", ".join(f"{count} {mode}" for mode, count in sorted(self.modes.items()))
        return (
            f"{self.runs} runs killed ({modes}): {self.journalled} objects journalled, {self.left_objects} left by the "
            f"kills, {self.open_intents} runs with an unanswered intent; after each clean, nothing of ours left and "
            "nothing else changed"
        )


def database(session: Session) -> Database:
    """Return every record of the host, by class and reference, but what changes by itself."""
    methods = session.value("system.listMethods")
    classes = sorted({name.partition(".")[0] for name in methods if name.endswith(".get_all_records")})
    return {
        cls: {
            ref: {name: value for name, value in record.items() if (cls, name) not in VOLATILE}
            for ref, record in session.value(f"{cls}.get_all_records").items()
        }
        for cls in classes
        if cls not in NOT_COMPARED
    }


def difference(before: Database, after: Database) -> list[str]:
    """Say what moved, record by record and field by field."""
    moved = []
    for cls in before:
        for ref in sorted(before[cls].keys() | after[cls].keys()):
            old, new = before[cls].get(ref), after[cls].get(ref)
            if old is None:
                moved.append(f"{cls} {ref} is new: {new}")
            elif new is None:
                moved.append(f"{cls} {ref} is gone: {old}")
            else:
                moved += [f"{cls} {ref} {name}: {old[name]} → {new[name]}" for name in old if old[name] != new[name]]
    return moved


def killed(target: Target, folder: Path, run_id: str, mode: str, draws: random.Random) -> None:
    """Start a run in a process of its own, and kill it at a random moment."""
    patience = draws.uniform(0, LONGEST_S.get(mode, SHORTEST_FAULT_S))
    after_the_call = draws.random() < AFTER_THE_CALL
    seed = draws.random()
    hear, say = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(hear)
            work(target, folder, run_id, mode, random.Random(seed), lambda: os.write(say, b"!"))
        finally:
            os._exit(code)
    os.close(say)
    try:
        _heard(hear, f"{run_id} ({mode})")
        if mode != PLAIN and after_the_call:
            _heard(hear, f"{run_id} ({mode})")
        else:
            time.sleep(patience)  # the random moment itself
    finally:
        os.close(hear)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        raise NotAsBefore(f"{run_id} ({mode}) ended by itself with {status}")


def _heard(pipe: int, who: str) -> None:
    """Wait for a word of the run."""
    ready, _, _ = select.select([pipe], [], [], HEARD_S)
    if not ready or os.read(pipe, 1) != b"!":
        raise NotAsBefore(f"{who} ended before it was at work")


def cleaned(folder: Path, *words: str) -> tuple[int, str]:
    """Run `xencbt clean` on the journals in `folder`: exit code and what it printed."""
    said = io.StringIO()
    with redirect_stdout(said):
        code = xencbt(["clean", "--journal-dir", str(folder), *words])
    return code, said.getvalue()


@contextmanager
def stranger(session: Session, target: Target) -> Iterator[None]:
    """Put somebody else's objects on the host that look like ours, but for the token."""
    sr = session.value("SR.get_by_uuid", target.srs["lvm"])
    for tag in ({}, {TAG: "another-run/0123"}, {TAG: ""}):
        record = {"name_label": "xencbt disk", "name_description": "", "SR": sr, "virtual_size": 4 * 2**20}
        record |= {"type": "user", "sharable": False, "read_only": False, "other_config": tag}
        record |= {"xenstore_data": {}, "sm_config": {}, "tags": []}
        session.value("VDI.snapshot", session.value("VDI.create", record), {})
    yield


def prove(runs: int, seed: int, show: bool = True) -> Tally:  # noqa: FBT002  a switch of a script
    """Kill `runs` runs and clean up after each; raises NotAsBefore where anything is not as it was."""
    draws, tally = random.Random(seed), Tally()
    with tempfile.TemporaryDirectory() as scratch, start_emulator() as started:
        warm_up()
        target = replace(started, ours=False)  # to the runs it is a host that lives on
        os.environ["XENCBT_PASSWORD"] = target.password
        session = Session.login(target.endpoint, target.user, target.password, Recorder(Secrets()))
        folder = Path(scratch) / "journals"
        with stranger(session, target):
            alive = Bench.open(target, seed=1, run_id="alive", environment={}, journal_dir=folder)
            Lab(alive, "alive").create_disk().snapshot()
            written = alive.journal.path.read_bytes()
            before = database(session)
            for number in range(runs):
                mode = MODES[number % len(MODES)]
                _one(target, session, folder, f"run-{number}", mode, draws, before, tally)
                if alive.journal.path.read_bytes() != written:
                    raise NotAsBefore("a live run's journal was touched")
                if show and (number + 1) % 20 == 0:
                    print(f"{number + 1} of {runs}", flush=True)
            summary = alive.close()
            if summary.left:
                raise NotAsBefore(f"the live run was disturbed: {summary}")
        session.close()
    return tally


def _one(
    target: Target,
    session: Session,
    folder: Path,
    run_id: str,
    mode: str,
    draws: random.Random,
    before: Database,
    tally: Tally,
) -> None:
    killed(target, folder, run_id, mode, draws)
    path = folder / run_id / FILE
    tally.runs += 1
    tally.modes[mode] += 1
    if path.exists() and path.stat().st_size:
        contents = read(path.read_text().split("\n"))
        tally.journalled += len(contents.items)
        tally.open_intents += any(item.state.value == "intended" for item in contents.items)
    now = database(session)
    tally.left_objects += sum(len(now[cls].keys() - before[cls].keys()) for cls in ("VDI", "VM", "VBD"))
    code, said = cleaned(folder)
    moved = difference(before, database(session))
    if code != 0 or moved:
        journal = path.read_text() if path.exists() else ""
        raise NotAsBefore("\n".join([f"{run_id} ({mode}): clean ended with {code}", said, *moved, journal]))
    if "1 of live runs skipped" not in said:
        raise NotAsBefore(f"the live run was not seen: {said}")


def main() -> int:
    """Run the proof from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    started = time.monotonic()
    print(prove(chosen.runs, chosen.seed))
    print(f"{time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
