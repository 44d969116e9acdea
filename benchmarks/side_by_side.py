"""How much faster `xencbt run -n 2` is than `xencbt run`, as whole commands in turns; wants two idle cores.

Arguments are handed to both: `python benchmarks/side_by_side.py --suite enable`. Prints seconds of the clock and of the
processors (emulated hosts included), and the ratio of the medians; exits 1 if that is below 1.4, and 2 where a run did
not judge what it should (any exit code but 0).
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST = 1.4
ROUNDS = 3
SEED = "1"
WAYS: dict[str, tuple[str, ...]] = {"alone": (), "-n 2": ("-n", "2")}


def run(words: Sequence[str]) -> tuple[float, float]:
    """Run the command; return its seconds on the clock and on the processors."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "xencbt.harness.cli", "run", "--seed", SEED, "--quiet", *words]
        own = os.environ | {"XDG_STATE_HOME": folder}
        before, began = used(), time.monotonic()
        subprocess.run(command, cwd=folder, env=own, check=True, stdout=subprocess.DEVNULL)  # noqa: S603  our own command
        return time.monotonic() - began, used() - before


def used() -> float:
    """Return the processor seconds of all ended children, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main(words: Sequence[str]) -> int:
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(ROUNDS):
        for way, more in WAYS.items():
            try:
                clock, processors = run([*words, *more])
            except subprocess.CalledProcessError as error:
                print(f"{way}: exit {error.returncode}: nothing can be compared", file=sys.stderr)
                return 2
            times[way].append(clock)
            print(f"round {number + 1}  {way:<5}  {clock:6.1f} s  {processors:6.1f} s of processors", flush=True)
    ratio = statistics.median(times["alone"]) / statistics.median(times["-n 2"])
    print(f"-n 2 is {ratio:.2f} times as fast; at least {LEAST} is wanted")
    return 0 if ratio >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
