"""Which tests a run consists of, decided from their names and the requirements they decide; pure."""

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from xencbt.harness.errors import UsageError


@dataclass(frozen=True, slots=True)
class Candidate:
    """A collected test: the suite it belongs to (`enable` for test_enable.py) and the ids it decides."""

    suite: str
    requirements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """What the user named; nothing named selects everything."""

    suites: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()

    def selects(self, candidate: Candidate) -> bool:
        """Return whether `candidate` belongs to the run."""
        by_suite = not self.suites or candidate.suite in self.suites
        by_requirement = not self.requirements or bool(set(self.requirements) & set(candidate.requirements))
        return by_suite and by_requirement

    @property
    def filtered(self) -> bool:
        """Whether the user named anything, so that the run judges a part of the guide."""
        return bool(self.suites or self.requirements)


def check_names(named: Sequence[str], known: Collection[str], what: str) -> None:
    """Raise UsageError for a name nobody knows, with the nearest known ones."""
    for name in named:
        if name not in known:
            near = difflib.get_close_matches(name.upper() if name.upper() in known else name, known, n=3, cutoff=0.5)
            hint = f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(sorted(known))}"
            raise UsageError(f"unknown {what} {name!r}; {hint}")


def suite_of(module: str) -> str:
    """Return the suite's name for a test module: `backup_sets` for `xencbt.suites.test_backup_sets`."""
    return module.rpartition(".")[2].removeprefix("test_")


def id_of(module: str, name: str) -> str:
    """Return the id of a test, the same however pytest was started: `suites.test_enable::test_x[user]`."""
    return f"{module.removeprefix('xencbt.')}::{name}"
