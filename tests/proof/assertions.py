"""Are the assertions of the suites needed? Each is deleted in turn, and something wrong has to go unnoticed then.

    python -m tests.proof.assertions --results assertions.jsonl

First each defect is met by all tests of the requirement it declares, and where each of them fails is kept. Only what
a test failed at can be missed: without any other assertion, the test comes to the same point at the same seed, and
fails there as before. Those are deleted, one at a time, and the tests that failed there meet that defect again: if they
pass now, the assertion is needed, and nothing else does its work.

The assertions that no defect meets are tried by lies then (`tests.proof.lied_to`): an otherwise right host gives one
false answer. All that are left are redundant, as far as these defects and lies can tell. Results are appended as they
come, and what is there of the same suites is not done again.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.proof.deletion import FOUND, Deletion, run
from tests.proof.lied_to import FOUND as HEARD
from tests.proof.lied_to import Lying
from tests.proof.lied_to import run as tell_lies
from tests.proof.sites import Site, sites
from tests.proof.source import SUITES, closure_hash
from xencbt.fixtures.emulator.defects import DEFECTS, Defect
from xencbt.harness.errands import Ended, Errands
from xencbt.harness.hunting import Errand
from xencbt.harness.verdicts import chapter_of
from xencbt.suites.kill_score import suite_hash

DEADLINE_S = 600.0
LONGEST_S = 3600.0
"""For the tests of a module that are lied to."""

SEED = "--seed=1"


@dataclass(slots=True)
class Proving:
    """What is known so far, and where new results go."""

    results: Path
    folder: Path
    examples: bool = False
    rows: list[dict[str, Any]] = field(default_factory=list)
    met: int = 0

    def read(self) -> None:
        """Take up what an earlier run has found out about these very suites; by lies, about the suite of the test."""
        if self.results.exists():
            every = map(json.loads, self.results.read_text(encoding="utf-8").splitlines())
            self.rows = [row for row in every if row["source"] == _source_of(row)]

    def keep(self, **row: Any) -> None:
        """Append a result."""
        self.rows.append(row | {"source": _source_of(row)})
        with self.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(self.rows[-1]) + "\n")
        print({name: value for name, value in row.items() if name != "tests"}, flush=True)

    def look(self, defects: Iterable[Defect]) -> Iterator[Deletion]:
        """Yield the runs that show where the tests of the declared requirement fail."""
        known = {row["defect"] for row in self.rows if row["kind"] == "look"}
        for defect in defects:
            if defect.name not in known:
                yield self._errand("look", defect, None, frozenset())

    def chances(self) -> dict[Site, list[tuple[str, frozenset[str]]]]:
        """Return, by assertion, the defects that tests failed at just there, with those tests, the fewest first."""
        every = [site for each in SUITES.glob("*.py") for site in sites(each.stem, each.read_text(encoding="utf-8"))]
        found: dict[Site, list[tuple[str, frozenset[str]]]] = {}
        for row in (row for row in self.rows if row["kind"] == "look"):
            by_site: dict[tuple[Site, str], set[str]] = {}
            for test, told in row["tests"].items():
                for site in every:
                    if site.is_among(told["frames"]):
                        by_site.setdefault((site, test.partition("[")[0]), set()).add(test)
            for (site, _), tests in by_site.items():
                found.setdefault(site, []).append((row["defect"], frozenset(tests)))
        return {site: sorted(tried, key=lambda each: (len(each[1]), each[0])) for site, tried in sorted(found.items())}

    def next_for(self, site: Site, tried: Sequence[tuple[str, frozenset[str]]]) -> Deletion | None:
        """Return the next run that may show that the assertion is needed; None when it is known, or none is left."""
        done = {
            (row["defect"], frozenset(row["only"])): row["survives"]
            for row in self.rows
            if row["kind"] == "deletion" and row["site"] == str(site)
        }
        if any(done.values()):
            return None
        left = [each for each in tried if each not in done]
        return self._errand("deletion", DEFECTS[left[0][0]], site, left[0][1]) if left else None

    def _errand(self, kind: str, defect: Defect, site: Site | None, only: frozenset[str]) -> Deletion:
        self.met += 1
        words = (f"--defect={defect.name}", "--strict", f"--requirement={defect.breaks[0]}", SEED)
        name = f"{kind} {defect.name}"
        return Deletion(name, words, self.folder / str(self.met), site=site, only=only, examples=self.examples)

    def ended(self, ended: Ended) -> None:
        """Keep what a run has found; one that broke shows nothing."""
        errand = ended.errand
        assert isinstance(errand, Deletion)
        kind, _, defect = errand.name.partition(" ")
        try:
            tests = json.loads((errand.folder / FOUND).read_text())
        except OSError:
            tests = {}
        if kind == "look":
            failed = {test: told for test, told in tests.items() if told["verdict"] == "fail"}
            self.keep(kind=kind, defect=defect, failed=len(failed), of=len(tests), tests=failed, trouble=ended.trouble)
            return
        verdicts = {told["verdict"] for told in tests.values()}
        survives = set(tests) == errand.only and verdicts == {"pass"}
        only = sorted(errand.only)
        self.keep(
            kind=kind, site=str(errand.site), defect=defect, only=only, survives=survives, verdicts=sorted(verdicts)
        )


def _source_of(row: Mapping[str, Any]) -> str:
    """Return the hash of what a result is about: the module of one test with all that it imports, or every suite."""
    module = str(row.get("test", "")).partition("::")[0].rpartition(".")[2]
    return closure_hash(module) if module else suite_hash()


def prove(proving: Proving, defects: Sequence[Defect], workers: int) -> None:
    """Find out what is not known yet."""

    def looked(ended: Ended) -> Iterable[Errand]:
        proving.ended(ended)
        return ()

    Errands(workers, deadline_s=DEADLINE_S, ended=looked, body=run).carry_out(proving.look(defects))
    names = {defect.name for defect in defects}
    chances = {site: [each for each in tried if each[0] in names] for site, tried in proving.chances().items()}
    by_name = {str(site): site for site in chances}

    def deleted(ended: Ended) -> Iterable[Errand]:
        assert isinstance(ended.errand, Deletion)
        proving.ended(ended)
        site = by_name[str(ended.errand.site)]
        following = proving.next_for(site, chances[site])
        return () if following is None else (following,)

    first = (proving.next_for(site, tried) for site, tried in chances.items())
    Errands(workers, deadline_s=DEADLINE_S, ended=deleted, body=run).carry_out(each for each in first if each)


def lie(proving: Proving, modules: Sequence[str], workers: int) -> None:
    """Try by lies what no defect has met: in tests that draw nothing first, then in those that do."""
    needed = {row["site"] for row in proving.rows if row["kind"] == "lie" or row.get("survives")}
    done = {row["test"] for row in proving.rows if row["kind"] == "heard"}

    def errand(module: str, searching: bool) -> Lying:
        proving.met += 1
        folder, known = proving.folder / str(proving.met), (frozenset(needed), frozenset(done))
        return Lying(
            f"lies {module}", ("--strict", SEED), folder, None, frozenset(), frozenset(), module, *known, searching
        )

    def ended(ended: Ended) -> Iterable[Errand]:
        lying = ended.errand
        assert isinstance(lying, Lying)
        found = lying.folder / HEARD
        rows = [json.loads(line) for line in found.read_text().splitlines()] if found.exists() else []
        for row in rows:
            proving.keep(**row)
        needed.update(row["site"] for row in rows if row["kind"] == "lie")
        done.update(row["test"] for row in rows if row["kind"] == "heard")
        return [errand(lying.module, lying.searching)] if any(row["kind"] == "spoilt" for row in rows) else []

    kinds = (False,) if proving.examples else (False, True)
    wanted = (errand(module, searching) for searching in kinds for module in modules)
    Errands(workers, deadline_s=LONGEST_S, ended=ended, body=tell_lies).carry_out(wanted)


def summary(proving: Proving) -> str:
    """Say how many assertions are needed, of those that a passing test comes to."""
    rows = {kind: [row for row in proving.rows if row["kind"] == kind] for kind in ("look", "deletion", "heard", "lie")}
    every = {site for row in rows["heard"] for site in row["sites"]}
    missed = {row["site"] for row in rows["deletion"] if row["survives"]}
    noticed = {row["site"] for row in rows["lie"]}
    once = {row["site"] for row in rows["lie"] if not row["lasting"]} - missed
    needed = every & (missed | noticed)
    share = f"{100 * len(needed) / len(every):.0f} %" if every else "none"
    return "\n".join(
        [
            *(f"redundant: {each}" for each in sorted(every - needed)),
            f"{len(rows['look'])} defects were met; {len({row['test'] for row in rows['heard']})} tests were lied to",
            f"{len(needed)} of {len(every)} assertions are needed ({share}): without {len(needed & missed)} a defect",
            f"survives, without {len(needed - missed)} more a lie is believed ({len(needed & once)} told once)",
        ]
    )


def main(argv: Sequence[str]) -> int:
    """Find out what is missing in the results, and tell what they say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("assertions.jsonl"), help="(%(default)s)")
    parser.add_argument("--defect", action="append", choices=sorted(DEFECTS), metavar="NAME", help="only this one")
    parser.add_argument("--chapter", action="append", help="only defects that declare to break this chapter")
    parser.add_argument("--examples", action="store_true", help="leave out tests that draw what they do: much faster")
    parser.add_argument("--lies", action="store_true", help="meet no defect, try all by lies: an hour less")
    parser.add_argument("--suite", action="append", help="lie only to tests of this suite")
    parser.add_argument("-n", dest="workers", type=int, default=2, help="runs at a time (%(default)s)")
    parser.add_argument("--tell", action="store_true", help="make no run, only tell of those in the results")
    chosen = parser.parse_args(argv)
    defects = [DEFECTS[name] for name in chosen.defect or DEFECTS]
    defects = [each for each in defects if not chosen.chapter or chapter_of(each.breaks[0]) in chosen.chapter]
    with tempfile.TemporaryDirectory(prefix="xencbt-assertions-") as folder:
        proving = Proving(chosen.results, Path(folder), examples=chosen.examples)
        proving.read()
        if not chosen.tell:
            if not chosen.lies:
                prove(proving, defects, chosen.workers)
            if not (chosen.defect or chosen.chapter):
                modules = [each.stem for each in sorted(SUITES.glob("test_*.py"))]
                wanted = [each for each in modules if not chosen.suite or each.removeprefix("test_") in chosen.suite]
                lie(proving, wanted, chosen.workers)
    print(summary(proving))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
