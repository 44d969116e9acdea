"""`xencbt prove`: show that the suites notice bad hosts, and pass a good one."""

import argparse
import json
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from xencbt.fixtures.emulator.defects import DEFECTS
from xencbt.harness.commands import Commands
from xencbt.harness.errors import UsageError
from xencbt.harness.identity import suite_identity
from xencbt.harness.in_pytest import interrupt
from xencbt.harness.proof import Clean, Hunted, Planted, Proof, part
from xencbt.harness.proving import Prover
from xencbt.harness.seeds import fresh_seed
from xencbt.harness.selection import check_names
from xencbt.harness.verdicts import Exit, chapter_of
from xencbt.reports import proof_page, proof_text
from xencbt.reports.folder import new_folder
from xencbt.reports.write import replace_file
from xencbt.suites import kill_score

OUT = Path("xencbt-proof")


def add(commands: Commands) -> None:
    """Add `prove`."""
    proving = commands.add_parser("prove", help="run the suites against every defect of the emulated host")
    proving.add_argument("--defect", metavar="NAME", action="append", help="only this one (may be repeated)")
    proving.add_argument("--layer", metavar="NAME", action="append", help="only those of this layer of the host")
    proving.add_argument("--chapter", metavar="NAME", action="append", help="only those that break this chapter")
    proving.add_argument("--part", metavar="K/N", help="only the Kth of N parts, each with some of every chapter")
    proving.add_argument("--full", action="store_true", help="every test against every defect, to the end")
    proving.add_argument(
        "--only-design", action="store_true", help="a defect that its own requirement misses meets no other test"
    )
    proving.add_argument("--seed", metavar="N", help="the seed of all runs; default: a fresh one, printed")
    proving.add_argument("-n", dest="workers", metavar="N", help="runs at a time; default: one for each core")
    proving.add_argument("--out", metavar="DIR", help=f"output folder; default: {OUT}, numbered if it exists")
    proving.add_argument(
        "--record", action="store_true", help="keep the score with the suites, for every run.json to tell"
    )
    proving.set_defaults(call=_prove)


def _prove(chosen: argparse.Namespace, _: list[str]) -> int:
    try:
        defects = selected(tuple(DEFECTS.values()), chosen)
        partial = len(defects) < len(DEFECTS)
        seed = fresh_seed() if chosen.seed is None else _number(chosen.seed, "--seed", least=0)
        workers = _cores() if chosen.workers is None else _number(chosen.workers, "-n", least=1)
        _may_record(chosen, partial=partial)
        folder = new_folder(Path(chosen.out) if chosen.out else OUT)
    except UsageError as error:
        print(f"xencbt: {error}", file=sys.stderr)
        return Exit.USAGE
    signal.signal(signal.SIGTERM, interrupt)
    print(proof_text.beginning(len(defects), len(DEFECTS), seed, workers), flush=True)
    try:
        proof = _proven(defects, folder, chosen, seed=seed, workers=workers, partial=partial)
    except KeyboardInterrupt:
        print("xencbt: interrupted: nothing was proven", file=sys.stderr)
        return Exit.INTERRUPTED
    told = proof.as_json()
    replace_file(folder / "prove.json", (json.dumps(told, ensure_ascii=False, indent=1) + "\n").encode())
    replace_file(folder / "prove.md", proof_text.markdown(told).encode())
    replace_file(folder / "prove.html", proof_page.fragment(told).encode())
    print(proof_text.summary(told, str(folder)), flush=True)
    if chosen.record:
        kill_score.record(told, DEFECTS)
    return proof.exit


def _may_record(chosen: argparse.Namespace, *, partial: bool) -> None:
    if chosen.record and partial and kill_score.recorded() is None:
        raise UsageError("--record adds a selection to what is recorded, and nothing is: prove all defects first")


def _proven(
    defects: Sequence[Planted], folder: Path, chosen: argparse.Namespace, *, seed: int, workers: int, partial: bool
) -> Proof:
    """Prove in a folder that goes, but for the runs that did not do what is hoped for: those are kept to look at."""
    with TemporaryDirectory(prefix="xencbt-prove-", ignore_cleanup_errors=True) as runs:

        def tell(decided: Hunted | Clean) -> None:
            print(proof_text.line(decided), flush=True)

        prover = Prover(Path(runs), seed, full=chosen.full, partial=partial, tell=tell, only_design=chosen.only_design)
        proof = prover.prove(defects, workers=workers, suite=suite_identity())
        for place in prover.worth_keeping():
            shutil.copytree(place, folder / "runs" / place.relative_to(runs))
    return proof


def selected(defects: Sequence[Planted], chosen: argparse.Namespace) -> tuple[Planted, ...]:
    """Return the defects that were asked for; raises UsageError for a name that is none, and where none is left."""
    check_names(chosen.defect or (), [defect.name for defect in defects], "defect")
    check_names(chosen.layer or (), {defect.layer for defect in defects}, "layer")
    check_names(chosen.chapter or (), {chapter_of(defect.breaks[0]) for defect in defects}, "chapter")
    kept = [
        defect
        for defect in defects
        if (not chosen.defect or defect.name in chosen.defect)
        and (not chosen.layer or defect.layer in chosen.layer)
        and (not chosen.chapter or chapter_of(defect.breaks[0]) in chosen.chapter)
    ]
    if chosen.part is not None:
        number, slash, of = chosen.part.partition("/")
        if not slash:
            raise UsageError(f"--part takes K/N, for example 1/4, not {chosen.part!r}")
        kept = list(_part(kept, _number(number, "--part", least=1), _number(of, "--part", least=1)))
    if not kept:
        raise UsageError("no defect is left by what was asked for")
    return tuple(kept)


def _part(defects: Sequence[Planted], number: int, of: int) -> tuple[Planted, ...]:
    try:
        return part(defects, number, of)
    except ValueError as error:
        raise UsageError(f"--part: {error}") from error


def _number(text: str, what: str, *, least: int) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) >= least):
        raise UsageError(f"{what} takes a number from {least}, not {text!r}")
    return int(text)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
