"""The ledger of known issues: what is known to fail on which target, until when, and the witness that shows it."""

import datetime as dt
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xencbt.harness.catalogue import CATALOGUE
from xencbt.harness.errors import UsageError
from xencbt.harness.fingerprint import FINGERPRINT, LENGTH
from xencbt.harness.versions import VersionRange
from xencbt.harness.witness.bundles import Subject
from xencbt.harness.witness.steps import BadWitness
from xencbt.harness.witness.witness import Witness, read_witness

SCHEMA = "xencbt.issues/1"
LARGEST_LEDGER = 8 << 20
MOST_ENTRIES = 1000
SOON = dt.timedelta(days=30)
"""How long before its end an entry counts as expiring soon."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._#-]{0,60}", re.ASCII)
_LINK = re.compile(r"https?://[^\s<>\"]{1,400}", re.ASCII)
_KEYS = {"id", "requirement", "fingerprint", "reason", "link", "owner", "expires", "target", "steps", "check", "seen"}
_OPTIONAL = {"target", "reason", "seen"}


class BadLedger(UsageError):
    """The file is no ledger of known issues; the text says where."""


@dataclass(frozen=True, slots=True)
class Predicate:
    """The targets an entry is about: brand, range of versions, driver of the run's SR; empty ones fit every target."""

    brand: str = ""
    version: str = ""
    sr: str = ""

    def mismatch(self, target: Subject) -> str:
        """Return why the target is none of them; empty where it is."""
        if self.brand and self.brand.casefold() != target.product.casefold():
            return f"the brand is {target.product!r}, not {self.brand!r}"
        if not VersionRange.parse(self.version).holds(target.version):
            return f"the version is {target.version}, not {self.version}"
        if self.sr and self.sr != target.sr:
            return f"the SR is of driver {target.sr!r}, not {self.sr!r}"
        return ""


@dataclass(frozen=True, slots=True)
class Issue:
    """One entry. `expires` is the last day on which it holds; `seen` where the failure was seen last, in words."""

    id: str
    requirement: str
    fingerprint: str
    link: str
    owner: str
    expires: dt.date
    witness: Witness
    target: Predicate = Predicate()
    reason: str = ""
    seen: str = ""

    def expired(self, today: dt.date) -> bool:
        """Tell whether the entry holds no more."""
        return today > self.expires

    def as_row(self) -> dict[str, str]:
        """Return what a finding says of the issue."""
        return {"id": self.id, "link": self.link, "owner": self.owner, "expires": self.expires.isoformat()}


def load_ledger(path: Path) -> tuple[Issue, ...]:
    """Read the ledger in a file; raises BadLedger, naming the file."""
    text = ledger_text(path)
    with telling(path):
        return parsed(text)


def ledger_text(path: Path) -> str:
    """Read the text of a ledger as it is, line ends and all; raises BadLedger, naming the file."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_LEDGER + 1)
    except OSError as error:
        raise BadLedger(f"cannot read the ledger {path}: {error}") from error
    with telling(path):
        try:
            return bounded(data).decode()
        except UnicodeDecodeError as error:
            raise BadLedger(f"no TOML: {error}") from error


def parsed(text: str) -> tuple[Issue, ...]:
    """Read the text of a ledger; raises BadLedger."""
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadLedger(f"no TOML: {error}") from error
    return read_ledger(data)


@contextmanager
def telling(path: Path) -> Iterator[None]:
    """Say of which file a BadLedger is."""
    try:
        yield
    except BadLedger as bad:
        raise BadLedger(f"{path}: {bad}") from bad


def bounded(data: bytes) -> bytes:
    """Return what may be in a ledger; raises BadLedger where it is too large."""
    if len(data) > LARGEST_LEDGER:
        raise BadLedger(f"larger than {LARGEST_LEDGER} bytes")
    return data


def read_ledger(data: Mapping[str, Any]) -> tuple[Issue, ...]:
    """Read a ledger from parsed TOML; raises BadLedger, naming the entry."""
    if data.get("schema") != SCHEMA:
        raise BadLedger(f"schema: this version reads {SCHEMA!r}")
    unknown = sorted(set(data) - {"schema", "issue"})
    if unknown:
        raise BadLedger(f"unknown key {unknown[0]!r}")
    entries = data.get("issue", [])
    if not isinstance(entries, Sequence) or isinstance(entries, str) or len(entries) > MOST_ENTRIES:
        raise BadLedger(f"issue: a list of up to {MOST_ENTRIES} tables")
    issues: list[Issue] = []
    for number, entry in enumerate(entries, start=1):
        issue = _read(entry, number)
        if any(other.id == issue.id for other in issues):
            raise BadLedger(f"issue {issue.id}: is there twice")
        issues.append(issue)
    return tuple(issues)


def _read(entry: object, number: int) -> Issue:
    if not isinstance(entry, Mapping):
        raise BadLedger(f"issue {number}: must be a table")
    name = entry.get("id")
    place = f"issue {name if isinstance(name, str) and _ID.fullmatch(name) else number}"
    try:
        return _issue(entry)
    except (BadWitness, UsageError) as error:
        raise BadLedger(f"{place}: {error}") from error


def _issue(entry: Mapping[str, Any]) -> Issue:
    wrong = sorted(set(entry) - _KEYS) or sorted(_KEYS - _OPTIONAL - set(entry))
    if wrong:
        raise BadLedger(f"{wrong[0]!r} is {'missing' if wrong[0] in _KEYS else 'unknown'}")
    expires = entry["expires"]
    if type(expires) is not dt.date:
        raise BadLedger("expires: a date like 2027-01-31")
    CATALOGUE[_text(entry, "requirement")]
    return Issue(
        id=_matching(entry, "id", _ID, "a plain word"),
        requirement=_text(entry, "requirement"),
        fingerprint=_matching(entry, "fingerprint", FINGERPRINT, f"{LENGTH} hexadecimal digits"),
        link=_matching(entry, "link", _LINK, "an http(s) URL"),
        owner=_text(entry, "owner"),
        expires=expires,
        witness=read_witness(entry),
        target=_predicate(entry.get("target", {})),
        reason=_text(entry, "reason") if "reason" in entry else "",
        seen=_text(entry, "seen") if "seen" in entry else "",
    )


def _predicate(data: object) -> Predicate:
    if not isinstance(data, Mapping) or not set(data) <= {"brand", "version", "sr"}:
        raise BadLedger("target: a table of brand, version and sr")
    predicate = Predicate(**{key: _text(data, key) for key in data})
    VersionRange.parse(predicate.version)
    return predicate


def _matching(entry: Mapping[str, Any], key: str, pattern: re.Pattern[str], what: str) -> str:
    text = _text(entry, key)
    if not pattern.fullmatch(text):
        raise BadLedger(f"{key}: {text[:60]!r} is not {what}")
    return text


def _text(entry: Mapping[str, Any], key: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value.strip() or len(value) > 2000 or not value.isprintable():
        raise BadLedger(f"{key}: must be a text on one line")
    return value
