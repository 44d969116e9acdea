"""Does each kill leave something to show it by? Every defect is hunted with bundles, and the first bundle is replayed.

    python -m tests.proof.bundled --results bundled.jsonl

A bundle has shown what it should where its replay is FIXED on an emulated host without defects, and FAILED on one with
the defect. Of a kill that leaves none it is told why. Results are appended as they come, and what is there is not done
again: it is of one state of the project, and to be made anew for another.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xencbt.fixtures.emulator.defects import DEFECTS, Defect
from xencbt.harness import cli
from xencbt.harness.errands import Ended, Errands
from xencbt.harness.hunting import RAN, Errand, alone, hunt
from xencbt.harness.verdicts import Exit, Verdict

DEADLINE_S = 600.0
SEED = "--seed=1"
FIXED, FAILED = "fixed", "failed"


@dataclass(frozen=True)
class Hunting(Errand):
    """A run that hunts a defect, and leaves a bundle of each failure."""

    defect: str = ""

    @property
    def arguments(self) -> list[str]:
        """The words as options of the plugin."""
        return [each for each in super().arguments if each != "--cbt-no-bundles"]


@dataclass(frozen=True)
class Replaying(Errand):
    """A replay of a bundle: its words are those of `xencbt replay`."""

    defect: str = ""
    host: str = ""


def body(errand: Errand) -> None:
    """Carry out either."""
    if not isinstance(errand, Replaying):
        hunt(errand)
        return
    with alone(errand.folder):
        code = cli.main(["replay", *errand.words])
    sys.exit(code)


@dataclass(slots=True)
class Bundled:
    """What is known so far, and where new results go."""

    results: Path
    folder: Path
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)

    def read(self) -> None:
        """Take up what an earlier run has found."""
        if self.results.exists():
            for line in self.results.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                self.rows[row["defect"]] = row

    def hunts(self, defects: Iterable[Defect]) -> Iterator[Hunting]:
        """Yield the runs that are missing."""
        for defect in defects:
            if defect.name not in self.rows:
                words = (f"--defect={defect.name}", f"--requirement={defect.breaks[0]}", "--strict", SEED)
                folder = self.folder / defect.name
                yield Hunting(defect.name, words, folder, frozenset({defect.breaks[0]}), defect=defect.name)

    def ended(self, ended: Ended) -> Iterable[Errand]:
        """Take what came of a run, or of a replay, and return what follows."""
        errand = ended.errand
        if isinstance(errand, Replaying):
            told = self.rows[errand.defect]
            told[errand.host] = ended.code
            if FIXED in told and FAILED in told:
                self._keep(told)
            return ()
        assert isinstance(errand, Hunting)
        row: dict[str, Any] = {"defect": errand.defect, "trouble": ended.trouble, "killed": ended.code == Exit.FAILED}
        self.rows[errand.defect] = row
        evidence = _evidence(errand) if row["killed"] else None
        if evidence is None or evidence["replay"] is None:
            row["why"] = "" if evidence is None else evidence["unreplayable"]
            self._keep(row)
            return ()
        replay = evidence["replay"]
        row |= {"steps": len(replay["steps"]), "python": bool(replay["python"]), "xe": bool(replay["xe"])}
        bundle, hosts = str(errand.folder / RAN / replay["bundle"]), {FIXED: (), FAILED: (f"--defect={errand.defect}",)}
        return [
            Replaying(errand.name, (bundle, *words), errand.folder / host, defect=errand.defect, host=host)
            for host, words in hosts.items()
        ]

    def _keep(self, row: dict[str, Any]) -> None:
        with self.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(row, flush=True)


def _evidence(errand: Hunting) -> dict[str, Any] | None:
    """Return the evidence of the failure that ended the hunt: the last one."""
    run = json.loads((errand.folder / RAN / "run.json").read_text(encoding="utf-8"))
    failed = [test["evidence"] for test in run["tests"] if test["verdict"] == Verdict.FAIL.value]
    return failed[-1] if failed else None


def shows(row: Mapping[str, Any]) -> bool:
    """Tell whether a kill left a bundle whose replay said what it should, with the defect and without."""
    return (row.get(FIXED), row.get(FAILED)) == (Exit.OK, Exit.FAILED)


def all_shown(rows: Iterable[Mapping[str, Any]]) -> bool:
    """Tell whether there were kills, and each left a bundle that shows it."""
    killed = [row for row in rows if row["killed"]]
    return bool(killed) and all(map(shows, killed))


def summary(rows: Iterable[dict[str, Any]]) -> str:
    """Say how many kills left a bundle that shows what it should."""
    killed = [row for row in rows if row["killed"]]
    left = [row for row in killed if FIXED in row]
    shown = list(filter(shows, left))
    scripts = {kind: sum(row[kind] for row in left) for kind in ("python", "xe")}
    return "\n".join(
        [
            *(f"{row['defect']}: none: {row['why']}" for row in killed if FIXED not in row),
            *(f"{row['defect']}: exit {row[FIXED]} without, {row[FAILED]} with it" for row in left if row not in shown),
            f"{len(killed)} kills: {len(left)} left a bundle, {len(shown)} of these are FIXED without the defect and",
            f"FAILED with it; {scripts['python']} have a script in Python, {scripts['xe']} one for xe",
        ]
    )


def main(argv: Sequence[str]) -> int:
    """Make the runs that are missing, and tell of all; 0 where there were kills, and each is shown by its bundle."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("bundled.jsonl"), help="(%(default)s)")
    parser.add_argument("--defect", action="append", choices=sorted(DEFECTS), metavar="NAME", help="only this one")
    parser.add_argument("-n", dest="workers", type=int, default=2, help="runs at a time (%(default)s)")
    chosen = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="xencbt-bundled-") as folder:
        bundled = Bundled(chosen.results.absolute(), Path(folder))
        bundled.read()
        defects = [DEFECTS[name] for name in chosen.defect or DEFECTS]
        errands = Errands(chosen.workers, deadline_s=DEADLINE_S, ended=bundled.ended, body=body)
        errands.carry_out(bundled.hunts(defects))
    print(summary(bundled.rows.values()))
    return 0 if all_shown(bundled.rows.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
