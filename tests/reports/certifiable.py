"""A made-up full run that can be certified, for the tests of certificates."""

from importlib.metadata import version
from typing import Any

from tests.reports.events import Event, finding, journal, ran, run_finished, run_started, selected, target
from xencbt.harness.catalogue import CATALOGUE, catalogue_hash
from xencbt.harness.findings import Finding
from xencbt.harness.verdicts import Verdict

SUITE = {
    "version": version("xencbt"),
    "catalogue_hash": catalogue_hash(),
    "files_hash": "f" * 64,
    "modified": False,
    "changed": [],
}
HOST = {"kind": "host", "product": "XenServer", "version": "8.4.0", "build": "b42", "driver": "lvm", "tls": "pinned"}


def full_run(
    *instead: Finding, without: str = "", end: Event | None = None, where: dict[str, Any] | None = None, **started: Any
) -> list[Event]:
    """Return the events of a run of every requirement, all passed but those of `instead`; `without` one of them."""
    known = {one.requirement[0]: one for one in instead}
    rows = [row.id for row in CATALOGUE if row.id != without]
    findings = [known.get(name) or finding(name, needs=("cbt-calls", "vm-power", "faults")) for name in rows]
    extra = [one for one in instead if one is not known[one.requirement[0]]]
    begun: dict[str, Any] = {"suite": SUITE, "command": "xencbt run --seed 42"} | started
    return [
        run_started(**begun),
        target(**(HOST | (where or {}))),
        selected(*rows),
        *ran(*findings, *extra),
        journal(),
        end or run_finished(),
    ]


def known_issue(name: str) -> Finding:
    return finding(name, Verdict.KNOWN)
