"""Judges the clean emulated host again and again, each time by another seed: every failure is a false alarm.

    python -m tests.soak.false_alarms --seeds 50 --results false-alarms.jsonl

takes the seeds 1 to 50 in each profile, one run at a time, whole and at quick speed, and appends a line for each to the
results. Runs that are there already, of the same suites, are not made again; so it can be stopped at any time.

    python -m tests.soak.false_alarms --conservative --results conservative.jsonl

judges instead, at one seed, each host that only marks too much: what must hold has to hold there too.
"""

import argparse
import datetime as dt
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from xencbt.fixtures.emulator.defects import DEFECTS
from xencbt.harness.catalogue import CATALOGUE, Level
from xencbt.suites.kill_score import suite_hash

PROFILES = ("documented", "xapi")
DEADLINE_S = 3600.0


def main(argv: Sequence[str]) -> int:
    """Make the runs that are missing, and tell of all; 0 when none of them was anything but a pass."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=50, help="1 to this one, in each profile (%(default)s)")
    parser.add_argument("--profile", choices=PROFILES, action="append", help="only this one")
    parser.add_argument("--results", type=Path, default=Path("false-alarms.jsonl"), help="(%(default)s)")
    parser.add_argument("--conservative", action="store_true", help="hosts that mark too much, not the clean one")
    parser.add_argument("--tell", action="store_true", help="make no run, only tell of those in the results")
    chosen = parser.parse_args(argv)
    profiles = chosen.profile or PROFILES
    clean = ((seed, each, "") for seed in range(1, chosen.seeds + 1) for each in profiles)
    wanted = ((1, "xapi", name) for name in over_reporting()) if chosen.conservative else clean
    for seed, profile, defect in () if chosen.tell else wanted:
        key = (seed, profile, defect)
        if not any((row["seed"], row["profile"], row["defect"]) == key for row in rows(chosen.results)):
            row = judged(seed, profile, defect)
            with chosen.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(line(row), flush=True)
    made = list(rows(chosen.results))
    print(summary(made))
    return 0 if made and all(row["exit"] == 0 for row in made) else 1


def rows(results: Path) -> Iterator[dict[str, Any]]:
    """Read what was made by these very suites."""
    if results.exists():
        for each in results.read_text(encoding="utf-8").splitlines():
            row: dict[str, Any] = json.loads(each)
            if row["suite_hash"] == suite_hash():
                yield row


def over_reporting() -> tuple[str, ...]:
    """Return the defects that break nothing but guidance."""
    levels = {row.id: row.level for row in CATALOGUE}
    return tuple(each.name for each in DEFECTS.values() if all(levels[one] is Level.SHOULD for one in each.breaks))


def judged(seed: int, profile: str, defect: str = "") -> dict[str, Any]:
    """Judge an emulated host by everything, and say what came of it; a clean one by level S as well."""
    suite = suite_hash()
    with tempfile.TemporaryDirectory(prefix="xencbt-soak-") as folder:
        words = ["run", f"--seed={seed}", f"--profile={profile}", "--quiet", "--no-bundles", "--out", "out"]
        words += [f"--defect={defect}"] if defect else ["--strict"]
        command = [sys.executable, "-m", "xencbt.harness.cli", *words]
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        try:
            run = json.loads((Path(folder) / "out" / "run.json").read_text(encoding="utf-8"))
        except OSError:
            run = {"tests": [], "problems": [{"reason": ran.stderr[-2000:]}], "duration_s": None}
    astray = [test for test in run["tests"] if test["verdict"] != "pass"]
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "suite_hash": suite,
        "seed": seed,
        "profile": profile,
        "defect": defect,
        "exit": ran.returncode,
        "tests": len(run["tests"]),
        "calls": sum(test["calls"] for test in run["tests"]),
        "duration_s": run["duration_s"],
        "astray": [f"{test['id']}: {test['verdict']}: {test['reason']}" for test in astray],
        "problems": [problem["reason"] for problem in run["problems"]],
    }


def line(row: Mapping[str, Any]) -> str:
    """Say what came of one run."""
    astray = "".join(f"\n  {each}" for each in [*row["astray"], *row["problems"]])
    host = row["defect"] or "clean"
    return f"{host}, seed {row['seed']}, {row['profile']}: exit {row['exit']}, {row['calls']} calls{astray}"


def summary(made: Sequence[Mapping[str, Any]]) -> str:
    """Say what all runs of these suites came to."""
    parts = []
    for profile in PROFILES:
        own = [row for row in made if row["profile"] == profile]
        alarms = [str(row["seed"]) for row in own if row["exit"] != 0]
        named = f" ({', '.join(alarms)})" if alarms else ""
        parts.append(f"{profile}: {len(own)} seeds, {len(alarms)} false alarms{named}")
    return f"{'; '.join(parts)}; {sum(row['calls'] for row in made)} calls"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
