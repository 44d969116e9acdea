"""Soak, by hand and at night: the state machine at nightly speed, on several seeds and in both profiles.

    nice -n 19 python tests/soak/machines.py --seeds 5

Each run is the real command against an emulated host of its own, one after the other. Prints one line for each, and
ends with 0 where all were clean; what is not leaves its reports where the line says. A run takes tens of minutes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PROFILES = ("xapi", "documented")
DEADLINE_S = 3 * 3600.0


def soak(seed: int, profile: str, words: list[str], folder: Path) -> bool:
    """Run once, print what came of it, and tell whether it was clean."""
    started = time.monotonic()
    out = folder / f"{profile}-{seed}"
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "xencbt.harness.cli", "run", "--speed", "nightly"),
            *("--seed", str(seed), "--profile", profile, "--out", str(out), *words),
        ],
        stdout=subprocess.DEVNULL,
        timeout=DEADLINE_S,
        check=False,
    )
    document: dict[str, Any] = json.loads((out / "run.json").read_text(encoding="utf-8"))
    tests = document["tests"]
    examples, calls = (sum(test[what] for test in tests) for what in ("examples", "calls"))
    left = len(document["journal"]["left"])
    print(
        f"seed {seed} {profile}: exit {ran.returncode}, {document['counts']}, {examples} examples, {calls} calls, "
        f"{left} left, {time.monotonic() - started:.0f} s, {out}",
        flush=True,
    )
    return ran.returncode == 0 and left == 0


def main() -> int:
    """Soak as the command line says; 1 where something was not clean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds (default: %(default)s)")
    parser.add_argument("--first", type=int, default=1, help="the first of them (default: %(default)s)")
    parser.add_argument("--everything", action="store_true", help="the whole guide, not the machine alone")
    given = parser.parse_args()
    words = [] if given.everything else ["--suite", "machine"]
    folder = Path(tempfile.mkdtemp(prefix="xencbt-soak-"))
    runs = [(seed, profile) for seed in range(given.first, given.first + given.seeds) for profile in PROFILES]
    clean = [soak(seed, profile, words, folder) for seed, profile in runs]
    return 0 if all(clean) else 1


if __name__ == "__main__":
    sys.exit(main())
