"""Targets to replay on: the run's own, and emulated hosts that are right, or wrong in a known way."""

from __future__ import annotations

from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from xencbt.fixtures.bench import Bench
from xencbt.fixtures.lab import Lab
from xencbt.fixtures.targets import start_emulator
from xencbt.harness.capabilities import MAIN
from xencbt.harness.errors import HarnessError
from xencbt.harness.replaying import Replayed, replay
from xencbt.harness.witness.deriving import World

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import ExitStack

    from xencbt.fixtures.targets import Target
    from xencbt.harness.witness.steps import Step
    from xencbt.proxies.interceptor import Interceptor


class Stand:
    """A target to replay on: its bench, and the interceptor of this process once a fault needs it."""

    def __init__(self, bench: Bench, interceptor: Callable[[], Interceptor] | None) -> None:
        self.bench = bench
        self._interceptor = interceptor
        self._shown = bench.target.defects

    @property
    def emulated(self) -> bool:
        """Whether a call costs next to nothing there: an emulated host whose control token is at hand."""
        return self.bench.target.control is not None

    def show(self, *defects: str) -> None:
        """Have an emulated host show exactly these defects; raises HarnessError, for a real one too."""
        if self.bench.target.control is None:
            raise HarnessError("only an emulated host shows defects")
        self.bench.target.control.defects(defects)
        self._shown = defects

    def replay(self, steps: Sequence[Step], test_id: str) -> Replayed:
        """Carry out `steps`; what they made is removed again.

        What an emulated host's defects remember is forgotten first: a failure has to show on one that was just started.
        """
        if self.emulated and self._shown:
            self.show(*self._shown)
        with Lab(self.bench, f"{test_id}::replay") as lab:
            return replay(lab, steps, self._interceptor)


def world_of(bench: Bench) -> World:
    """Return what is there before a test begins."""
    srs = {kind: (each.ref, each.uuid) for kind, each in bench.repositories.items()}
    return World(srs, bench.target.user, bench.product.host_ref)


def reference(
    opened: ExitStack, like: Bench, interceptor: Callable[[], Interceptor], *, options: Sequence[str] = ()
) -> Stand:
    """Start an emulated host with the profile of `like`, and stand on it; `options` as `xencbt emulator` takes them.

    Its run's SR is of the driver that the other's is of, where it has one. Raises HarnessError.
    """
    target = opened.enter_context(start_emulator(profile=like.profile.name, options=options))
    folder = Path(opened.enter_context(TemporaryDirectory(prefix="xencbt-replay-")))
    driver = like.repositories[MAIN].driver
    bench = _opened(target, like, folder / "look", None)
    kinds = [kind for kind, one in bench.repositories.items() if one.driver == driver]
    if kinds and bench.repositories[MAIN].driver != driver:
        sr = bench.repositories[kinds[0]].uuid
        bench.close()
        bench = _opened(target, like, folder / "there", sr)
    opened.callback(bench.close)
    return Stand(bench, interceptor)


def _opened(target: Target, like: Bench, folder: Path, sr: str | None) -> Bench:
    return Bench.open(
        target,
        seed=like.seed,
        run_id=token_hex(8),
        environment={},
        sr=sr,
        profile=like.profile.name,
        journal_dir=folder,
    )
