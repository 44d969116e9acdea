"""Several workers at one target: each leases a whole SR, and never shares it."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from xencbt.fixtures.named import check_vm
from xencbt.harness.capabilities import MAIN
from xencbt.harness.claim import Claim, claims_folder
from xencbt.harness.errors import UsageError
from xencbt.harness.judge import Judge
from xencbt.harness.repositories import find_repository, require_attached
from xencbt.harness.settings import Settings


def check_leases(settings: Settings, workers: int) -> None:
    """Go on only where every worker will find an SR of its own on the target; looked at by reads, before any begins.

    Raises UsageError for what would refuse the run in one process, for too few SRs, one that is unknown, detached or
    taken by another run, for a VM to clone whose disks lie on an SR that one of several workers leases, and for a
    password that somebody would have to be asked for; and TargetUnreachable, HarnessError or Violation where the target
    cannot be looked at.
    """
    if len(settings.srs) < workers:
        named = f"{len(settings.srs)} {'is' if len(settings.srs) == 1 else 'are'} named"
        raise UsageError(
            f"-n {workers} with --target needs an SR for each worker, and {named} with --sr: a worker never shares one"
        )
    if settings.password is None:
        raise UsageError("no password, and workers cannot ask: set XENCBT_PASSWORD, or name a file by --password-file")
    judge = Judge(replace(settings, vm=None))
    with TemporaryDirectory() as folder:
        judge.open(planning=Path(folder))
        try:
            judge.require(settings.required)
            bench = judge.bench
            leased = [find_repository(bench.session, MAIN, sr) for sr in settings.srs]
            for repository in leased:
                require_attached(bench.session, repository)
            if settings.vm is not None:
                check_vm(bench.session, settings.vm, bench.repositories.values(), leased if len(leased) > 1 else ())
            for sr in settings.srs:
                Claim(claims_folder(settings.environment), bench.product.pool_uuid, sr, "a look before a run").close()
        finally:
            judge.close()


def turned(settings: Settings, worker: int) -> Settings:
    """Return the settings of the worker with that number: it begins with an SR of its own to look for a free one."""
    at = worker % max(1, len(settings.srs))
    return replace(settings, srs=(*settings.srs[at:], *settings.srs[:at]))
