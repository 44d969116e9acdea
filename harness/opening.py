"""How a run comes by its bench: the target is started or dialled, and of the SRs named one is taken."""

import getpass
import secrets
import sys
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from xencbt.fixtures.bench import Bench
from xencbt.fixtures.targets import Target, dial, start_emulator
from xencbt.harness.claim import Taken, claims_folder
from xencbt.harness.errors import UsageError
from xencbt.harness.exchange import Recorder
from xencbt.harness.settings import Settings
from xencbt.harness.sizes import Limits

LEASED = "is leased by a worker of this run, which shares it with nobody"


@dataclass(frozen=True, slots=True)
class Opened:
    """A bench, and what was found out on the way to it.

    `settings` name the SR that was taken first; `leased_kinds` are the kinds of those that workers of the run share
    out among themselves.
    """

    bench: Bench
    settings: Settings
    leased_kinds: frozenset[str] = frozenset()


def opening(
    settings: Settings, on: ExitStack, recorder: Recorder, *, leasing: bool = False, planning: Path | None = None
) -> Opened:
    """Open a bench as `settings` say; what was started for it ends with `on`.

    With `leasing` it is on the first of their SRs that is free, beside other workers. `planning`: the folder for a
    journal that stays empty; no SR is claimed. Raises UsageError (no such SR, no password), TargetUnreachable or
    HarnessError.
    """
    target = _target(settings, on)

    def bench_on(target: Target, sr: str | None) -> Bench:
        return Bench.open(
            target,
            seed=settings.seed,
            run_id=secrets.token_hex(8),
            environment=settings.environment,
            sr=sr,
            profile=settings.profile,
            xe_command=settings.xe,
            limits=_limits(settings),
            journal_dir=planning or settings.journal_dir,
            consents=settings.consents,
            recorder=recorder,
            claims=None if settings.emulated_here or planning else claims_folder(settings.environment),
        )

    if not leasing:
        return Opened(bench_on(target, settings.sr), settings)
    leased = {sr.lower() for sr in settings.srs}
    kinds = frozenset(kind for kind, uuid in target.srs.items() if uuid.lower() in leased)
    target = replace(target, srs={kind: uuid for kind, uuid in target.srs.items() if uuid.lower() not in leased})
    for sr in settings.srs:
        try:
            bench = bench_on(target, sr)
        except Taken:
            continue
        bench.capabilities = bench.capabilities.telling({f"sr:{kind}": f"the SR {LEASED}" for kind in kinds})
        first = replace(settings, srs=(sr, *(other for other in settings.srs if other != sr)))
        return Opened(bench, first, kinds)
    raise Taken(f"each of the {len(settings.srs)} SRs named is taken: by another run, or by another worker")


def _target(settings: Settings, on: ExitStack) -> Target:
    if settings.emulated_here:
        profile = "documented" if settings.profile == "documented" else "xapi"
        return on.enter_context(
            start_emulator(profile=profile, user=settings.user, hosts=settings.emulator_hosts, defects=settings.defects)
        )
    return dial(
        settings.target,
        settings.user,
        settings.password or asked_password(settings),
        trust=settings.trust,
        control_token=settings.control_token,
        srs={named.kind: named.sr for named in settings.repositories},
        base_vm=settings.vm,
        disks={named.kind: named.vdi for named in settings.repositories if named.vdi},
    )


def _limits(settings: Settings) -> Limits | None:
    size, total = settings.max_size, settings.max_total
    if size is None and total is None:
        return None
    return Limits(size or Limits().size, total or Limits().total)


def asked_password(settings: Settings) -> str:
    """Ask for the password; raises UsageError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise UsageError("no password: set XENCBT_PASSWORD, or name a file with --password-file")
    return getpass.getpass(f"Password of {settings.user} at {settings.target}: ")
