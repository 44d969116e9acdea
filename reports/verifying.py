"""Whether a certificate holds together, and is signed as it says; pure."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from xencbt.harness.attempts import AT_FAULT
from xencbt.harness.catalogue.levels import Certified
from xencbt.harness.keys import is_signed
from xencbt.harness.verdicts import Verdict
from xencbt.reports.signing import canonical


def contradictions(
    document: Mapping[str, Any],
    *,
    key: str | None,
    levels: Mapping[str, Certified],
    catalogue_hash: str,
    published: tuple[str, str] | None = None,
) -> list[str]:
    """Return everything that is wrong with a certificate as `read_certificate` gives it; none: nothing is.

    `key` is the public key it must be signed with (hex), None where any will do. `levels` and `catalogue_hash` are
    those of this version: of a certificate by another catalogue the required ids are taken as it tells them.
    `published` are version and hash of a suite that is as installed, None where none is at hand.
    """
    certificate = document["certificate"]
    same = certificate["suite"]["catalogue_hash"] == catalogue_hash
    return [
        *_of_the_signature(document, key),
        *_of_the_run(certificate),
        *_of_the_suite(certificate["suite"], published),
        *_of_the_target(certificate),
        *_of_the_rows(certificate),
        *_of_the_required(certificate),
        *(_of_the_level(certificate, levels) if same else ()),
    ]


def _of_the_signature(document: Mapping[str, Any], key: str | None) -> Iterator[str]:
    signature = document["signature"]
    if not is_signed(canonical(document["certificate"]), bytes.fromhex(signature["value"]), signature["public_key"]):
        yield "the signature is not that of these statements by the key it names"
    if key is not None and key != signature["public_key"]:
        yield f"it is signed with another key than the one given: {signature['public_key']}"


def _of_the_run(certificate: Mapping[str, Any]) -> Iterator[str]:
    run = certificate["run"]
    if not run["complete"]:
        yield "the run did not come to its end"
    if run["filtered"]:
        yield "the run was filtered"
    if run["exit"] != 0:
        yield f"the run ended with exit code {run['exit']}"
    for name in ("run.json", "events.jsonl"):
        if name not in run["files"]:
            yield f"it does not say which {name} it was made from"
    if not _moment(run["started"]) or not _moment(certificate["issued"]):
        yield "its dates are none"
    elif _moment(run["started"]) > _moment(certificate["issued"]):
        yield "it was issued before the run started"


def _of_the_suite(suite: Mapping[str, Any], published: tuple[str, str] | None) -> Iterator[str]:
    if suite["modified"] or not suite["files_hash"]:
        yield "the suite was modified, or nothing is said of its files"
    if published is not None and published[0] == suite["version"] and published[1] != suite["files_hash"]:
        yield f"the suite that judged has other files than xencbt {published[0]} as it is installed here"


def _moment(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _of_the_target(certificate: Mapping[str, Any]) -> Iterator[str]:
    if (certificate["target"]["kind"] == "emulator") is not certificate["emulated"]:
        yield "an emulated host and its mark do not go together"


def _of_the_rows(certificate: Mapping[str, Any]) -> Iterator[str]:
    rows = certificate["requirements"]
    if dict(Counter(row["verdict"] for row in rows)) != certificate["counts"]:
        yield "the counts do not add up to the requirements"
    for name, times in Counter(row["id"] for row in rows).items():
        if times > 1:
            yield f"{name} is told {times} times"
    yield from (f"{row['id']} is flaky" for row in rows if row["flaky"])
    yield from (f"{row['id']} is of level {row['level']}, and {row['verdict']}" for row in rows if _breaks(row))


def _breaks(row: Mapping[str, Any]) -> bool:
    """Tell whether a run with this row cannot have ended well."""
    verdict = Verdict(row["verdict"])
    return verdict is Verdict.ERROR or (row["level"] == "M" and verdict in AT_FAULT)


def _of_the_required(certificate: Mapping[str, Any]) -> Iterator[str]:
    verdicts = {row["id"]: row["verdict"] for row in certificate["requirements"]}
    if not certificate["required"]:
        yield "it requires nothing"
    for name in certificate["required"]:
        verdict = verdicts.get(name, "missing")
        if verdict != Verdict.PASS.value:
            yield f"{name} is required, and {verdict}"


def _of_the_level(certificate: Mapping[str, Any], levels: Mapping[str, Certified]) -> Iterator[str]:
    level = levels.get(certificate["level"])
    if level is None:
        yield f"there is no level {certificate['level']}"
    elif list(level.required) != certificate["required"]:
        yield f"what it requires is not what the level {level.name} requires"
