"""Bundles: all that somebody needs to see a failure again, in one file of JSON that nobody has to trust."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xencbt.harness.catalogue import CATALOGUE
from xencbt.harness.errors import UsageError
from xencbt.harness.fingerprint import FINGERPRINT
from xencbt.harness.profiles import PROFILES
from xencbt.harness.seeds import SEED_BITS
from xencbt.harness.witness.steps import BadWitness
from xencbt.harness.witness.witness import Witness, read_witness

SCHEMA = "xencbt.bundle/1"
FOLDER = "bundles"
LARGEST_BUNDLE = 4 << 20
"""Bytes of a file that are read."""

MOST_NAME = 80
_KEYS = frozenset(
    (
        *("schema", "test", "requirement", "reason", "fingerprint", "seed", "suite", "target", "steps", "check"),
        *("words", "note", "exchange", "python", "xe"),
    )
)
_DEFECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Subject:
    """The target that showed a failure: what it said it is, the driver of the run's SR, the profile, and defects."""

    kind: str
    product: str
    version: str
    build: str
    sr: str
    profile: str
    defects: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "kind": self.kind,
            "product": self.product,
            "version": self.version,
            "build": self.build,
            "sr": self.sr,
            "profile": self.profile,
            "defects": list(self.defects),
        }

    def __str__(self) -> str:
        defects = f", defects {', '.join(self.defects)}" if self.defects else ""
        return (
            f"{self.kind} {self.product} {self.version} ({self.build}), SR {self.sr}, profile {self.profile}{defects}"
        )


@dataclass(frozen=True, slots=True)
class Bundle:
    """A failure, and all that shows it again. `note` says what is left to say of the witness, mostly nothing."""

    test: str
    requirement: tuple[str, ...]
    reason: str
    fingerprint: str
    seed: int
    suite: str
    target: Subject
    witness: Witness
    exchange: Mapping[str, Any] | None = None
    python: str = ""
    xe: str = ""
    note: str = ""

    @property
    def name(self) -> str:
        """The name of its file."""
        return file_name(self.test)

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON data, as docs/bundle.schema.json describes it."""
        return {
            "schema": SCHEMA,
            "test": self.test,
            "requirement": list(self.requirement),
            "reason": self.reason,
            "fingerprint": self.fingerprint,
            "seed": self.seed,
            "suite": self.suite,
            "target": self.target.as_json(),
            **self.witness.as_json(),
            "words": list(self.witness.words()),
            "note": self.note,
            "exchange": None if self.exchange is None else dict(self.exchange),
            "python": self.python,
            "xe": self.xe,
        }


def file_name(test: str) -> str:
    """Return the name of the bundle of a test: readable, plain, and another for each test."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", test).strip("-").lower()[:MOST_NAME].strip("-")
    return f"{plain}-{hashlib.sha256(test.encode('utf-8', 'backslashreplace')).hexdigest()[:8]}.json"


def load_bundle(path: Path) -> Bundle:
    """Read the bundle in a file that nobody vouches for; raises UsageError for what is none."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_BUNDLE + 1)
    except OSError as error:
        raise UsageError(f"cannot read the bundle {path}: {error}") from error
    if len(data) > LARGEST_BUNDLE:
        raise UsageError(f"{path} is larger than {LARGEST_BUNDLE} bytes: no bundle")
    try:
        return read_bundle(json.loads(data))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no bundle: {error}") from error
    except BadWitness as error:
        raise UsageError(f"{path} is no bundle that can be replayed: {error}") from error


def read_bundle(data: object) -> Bundle:
    """Read a bundle from plain data that nobody vouches for; raises BadWitness, naming the place."""
    if not isinstance(data, Mapping) or data.get("schema") != SCHEMA:
        raise BadWitness(f"schema: this version reads {SCHEMA!r}")
    requirement = _texts(data, "requirement")
    for each in requirement:
        if each not in CATALOGUE:
            raise BadWitness(f"requirement: the catalogue does not hold {each[:40]!r}")
    unknown = sorted(str(key) for key in data if key not in _KEYS)
    if unknown:
        raise BadWitness(f"unknown key {unknown[0][:40]!r}")
    seed = data.get("seed")
    if type(seed) is not int or not 0 <= seed < 1 << SEED_BITS:
        raise BadWitness(f"seed: must be a whole number below {1 << SEED_BITS}")
    exchange = data.get("exchange")
    if exchange is not None and not isinstance(exchange, Mapping):
        raise BadWitness("exchange: must be a table")
    return Bundle(
        test=_text(data, "test"),
        requirement=requirement,
        reason=_text(data, "reason"),
        fingerprint=_fingerprint(data),
        seed=seed,
        suite=_text(data, "suite"),
        target=_subject(data.get("target")),
        witness=read_witness(data),
        exchange=exchange,
        python=_text(data, "python"),
        xe=_text(data, "xe"),
        note=_text(data, "note"),
    )


def _subject(data: object) -> Subject:
    if not isinstance(data, Mapping):
        raise BadWitness("target: must be a table")
    profile = _text(data, "profile")
    if profile not in PROFILES:
        raise BadWitness(f"target.profile: unknown: {profile[:40]!r}")
    defects = _texts(data, "defects", fewest=0)
    if not all(_DEFECT.fullmatch(each) for each in defects):
        raise BadWitness("target.defects: are names")
    kind, product, version, build, sr = (_text(data, key) for key in ("kind", "product", "version", "build", "sr"))
    return Subject(kind, product, version, build, sr, profile, defects)


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    if not isinstance(value, str):
        raise BadWitness(f"{key}: must be a text")
    return value


def _fingerprint(data: Mapping[str, Any]) -> str:
    text = _text(data, "fingerprint")
    if not FINGERPRINT.fullmatch(text):
        raise BadWitness(f"fingerprint: {text[:40]!r} is none")
    return text


def _texts(data: Mapping[str, Any], key: str, *, fewest: int = 1) -> tuple[str, ...]:
    value = data.get(key)
    texts = isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(one, str) for one in value)
    if not isinstance(value, Sequence) or not texts or not fewest <= len(value) <= 50:
        raise BadWitness(f"{key}: must be a list of texts")
    return tuple(value)
