"""What the user asked for, from command line, environment and file, checked before anything is touched."""

import os
import re
import shlex
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from xencbt.harness.asked import NamedRepository, budget_s, consents_named, names_in, repositories_named
from xencbt.harness.asked_faults import AskedFaults, asked_faults
from xencbt.harness.configuration import PATHS, read_configuration
from xencbt.harness.endpoint import Endpoint
from xencbt.harness.errors import UsageError
from xencbt.harness.leading import LEADING, in_words, refuse_led_by_others, refuse_unverified
from xencbt.harness.ledger import Issue, load_ledger
from xencbt.harness.options import OPTIONS, Option
from xencbt.harness.seeds import SEED_BITS, fresh_seed
from xencbt.harness.trust import Trust

EMULATOR = "emulator"
MOST_EMULATED_HOSTS = 3
BY_KEY = {option.key: option for option in OPTIONS}

FIELD_OF = {"suite": "suites", "requirement": "requirements", "sr": "srs", "defect": "defects"}
"""What an option that may be repeated is called among the settings, by its key, where that is another word."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one run; passwords and tokens are read on demand and not kept here.

    `led` says to whom a configuration file led the run, and by what it is trusted, for the user to see.
    """

    seed: int
    target: str = EMULATOR
    emulator_hosts: int = 1
    defects: tuple[str, ...] = ()
    user: str = "root"
    password_file: Path | None = None
    control_token_file: Path | None = None
    ca: Path | None = None
    fingerprint: str | None = None
    insecure: bool = False
    srs: tuple[str, ...] = ()
    xe: tuple[str, ...] | None = None
    profile: str = "auto"
    speed: Literal["quick", "nightly"] = "quick"
    suites: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    rerun: Path | None = None
    since: Path | None = None
    out: Path | None = None
    journal_dir: Path | None = None
    allow: tuple[str, ...] = ()
    sr_kind: tuple[str, ...] = ()
    vm: str | None = None
    require: tuple[str, ...] = ()
    budget: str | None = None
    quiet: bool = False
    strict: bool = False
    keep_on_failure: bool = False
    known_issues: Path | None = None
    no_bundles: bool = False
    max_size: int | None = None
    max_total: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    led: str = ""

    @property
    def ledger(self) -> tuple[Issue, ...]:
        """The known issues; raises UsageError for a file that cannot be read."""
        return () if self.known_issues is None else load_ledger(self.known_issues)

    @property
    def bundles(self) -> bool:
        """Whether a failure gets a bundle that shows it again."""
        return not self.no_bundles

    @property
    def emulated_here(self) -> bool:
        """Whether this run starts its own emulated host."""
        return self.target == EMULATOR

    @property
    def sr(self) -> str | None:
        """The SR on which the run may create disks; where several were named, the first: the others are for workers."""
        return self.srs[0] if self.srs else None

    @property
    def trust(self) -> Trust:
        """How the target shows that it is the one meant; raises UsageError where that is said in two ways."""
        return Trust(ca_file=self.ca, fingerprint=self.fingerprint, insecure=self.insecure)

    @property
    def consents(self) -> frozenset[str]:
        """What the user consented to; raises UsageError for a name nobody knows."""
        return consents_named(self.allow)

    @property
    def required(self) -> tuple[str, ...]:
        """The capabilities whose absence is a failure."""
        return names_in(self.require)

    @property
    def repositories(self) -> tuple[NamedRepository, ...]:
        """The special SRs that were named; raises UsageError for what does not fit."""
        return repositories_named(self.sr_kind, self.sr)

    @property
    def asked_faults(self) -> AskedFaults:
        """The kinds of fault and the plans that were named; raises UsageError for what cannot be read or used."""
        return asked_faults(self.faults)

    @property
    def budget_s(self) -> float | None:
        """Seconds that the run was given, if any were named; raises UsageError for what is no duration."""
        return None if self.budget is None else budget_s(self.budget)

    @property
    def password(self) -> str | None:
        """The password given by file or by XENCBT_PASSWORD; None where there is none and a prompt must ask.

        Raises UsageError for an unreadable or empty file.
        """
        if self.password_file is not None:
            return _secret_in(self.password_file, "password")
        return self.environment.get("XENCBT_PASSWORD") or None

    @property
    def control_token(self) -> str | None:
        """The emulator's control token given by file or by XENCBT_CONTROL_TOKEN, if any."""
        if self.control_token_file is not None:
            return _secret_in(self.control_token_file, "control token")
        return self.environment.get("XENCBT_CONTROL_TOKEN") or None


def load(given: Mapping[str, Any], *, environment: Mapping[str, str], folder: Path) -> Settings:
    """Merge `given` (by option key, None where not given) over the environment over the file in `folder`.

    The file is the one named by `config`, else `xencbt.toml`, else `[tool.xencbt]` of `pyproject.toml`; the targets of
    a lab in it say nothing to a single run. Raises UsageError, naming the option and where it came from, for anything
    that cannot be used.
    """
    file = read_configuration(folder, given.get("config") or environment.get("XENCBT_CONFIG"))
    said = _said(given, environment)
    of_file = {key: value for key, value in file.options.items() if key not in said}
    values = {key: _checked(BY_KEY[key], value) for key, value in (of_file | said).items()}
    settings = _settings(values, environment)
    if file.path is not None:
        led = {key: of_file[key] for key in LEADING if of_file.get(key)}
        refuse_led_by_others(file.path, led)
        if not settings.emulated_here:
            refuse_unverified(file.path, led)
        settings = replace(settings, led=in_words(file.path, led))
    if settings.keep_on_failure and settings.emulated_here:
        raise UsageError("--keep-on-failure needs --target: the emulated host of a run ends with it")
    if not 1 <= settings.emulator_hosts <= MOST_EMULATED_HOSTS:
        raise UsageError(f"--emulator-hosts {settings.emulator_hosts}: 1 to {MOST_EMULATED_HOSTS}")
    _ = settings.consents, settings.repositories, settings.budget_s, settings.asked_faults, settings.ledger
    if not settings.emulated_here:
        _refuse_emulators_own(settings)
        _check_address(settings.target, settings.trust)
        refuse_unread_certificate(settings.target, settings.trust)
        if settings.sr is None:
            raise UsageError(f"--sr is needed with --target {settings.target}: the SR that the run may create disks on")
        _refuse_twice((*settings.srs, *(named.sr for named in settings.repositories)))
    return settings


def _said(given: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what the user said by command line or environment, unchecked."""
    said: dict[str, Any] = {}
    for option in OPTIONS:
        value = given.get(option.key)
        if value in (None, [], False):
            value = from_environment(option, environment)
        if value is not None:
            said[option.key] = value
    return said


def _refuse_emulators_own(settings: Settings) -> None:
    """Go on where nothing was asked of an emulated host that is not going to be started, else raise UsageError."""
    for flag, asked in (("--emulator-hosts", settings.emulator_hosts != 1), ("--defect", bool(settings.defects))):
        if asked:
            raise UsageError(f"{flag} is about the emulated host of a run, and --target names another one")


def _settings(values: dict[str, Any], environment: Mapping[str, str]) -> Settings:
    fields: dict[str, Any] = {
        FIELD_OF.get(key, key): Path(value) if key in PATHS else value
        for key, value in values.items()
        if key != "config"
    }
    if "xe" in fields:
        fields["xe"] = _command(fields["xe"])
    fields.setdefault("seed", fresh_seed())
    return Settings(**fields, environment=dict(environment))


def _command(text: str) -> tuple[str, ...]:
    """Split a command as a shell would; no shell is going to run it."""
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"--xe {text!r} is no command: {error}") from error
    if not words:
        raise UsageError("--xe is empty: name the command that runs xe, for example 'ssh HOST xe'")
    if any(word == "-pw" or word.startswith("password=") for word in words):
        raise UsageError("--xe must not carry a password: the command authenticates by itself (ssh keys, xe -pwf FILE)")
    return words


def from_environment(option: Option, environment: Mapping[str, str]) -> Any:
    """Return what the environment says of `option`, None where nothing; raises UsageError."""
    text = environment.get(option.variable)
    if not text:
        return None
    if option.kind == "list":
        return [part.strip() for part in text.split(",") if part.strip()]
    if option.kind == "switch":
        if text.lower() not in {"1", "true", "0", "false"}:
            raise UsageError(f"{option.variable} is a switch: 1 or 0, not {text!r}")
        return text.lower() in {"1", "true"}
    return text


def _checked(option: Option, value: object) -> Any:
    if option.kind == "number":
        return _number(option, value)
    if option.kind == "size":
        return _size(option, value)
    if option.kind == "list":
        if isinstance(value, str) and option.also_one:
            value = [value]
        if not isinstance(value, list | tuple) or not all(isinstance(part, str) for part in value):
            raise UsageError(f"{option.flag} takes a list of names, not {value!r}")
        return tuple(value)
    if option.kind == "switch":
        if not isinstance(value, bool):
            raise UsageError(f"{option.flag} is a switch, not {value!r}")
        return value
    if not isinstance(value, str) or not value:
        raise UsageError(f"{option.flag} takes a text, not {value!r}")
    if option.choices and value not in option.choices:
        raise UsageError(f"{option.flag} is one of {', '.join(option.choices)}, not {value!r}")
    return value


def _number(option: Option, value: object) -> int:
    try:
        number = int(str(value))
    except ValueError:
        number = -1
    if isinstance(value, bool) or not 0 <= number < 1 << SEED_BITS:
        raise UsageError(f"{option.flag} takes a whole number from 0 to {(1 << SEED_BITS) - 1}, not {value!r}")
    return number


def _size(option: Option, value: object) -> int:
    read = re.fullmatch(r"(\d{1,18})\s*([KMGT]iB)?", str(value))
    if isinstance(value, bool) or read is None or not int(read[1]):
        raise UsageError(f"{option.flag} takes a size like 1073741824 or 1GiB, not {value!r}")
    return int(read[1]) << 10 * ("KMGT".index(read[2][0]) + 1 if read[2] else 0)


def _refuse_twice(srs: Sequence[str]) -> None:
    lowered = [sr.lower() for sr in srs]
    for sr in lowered:
        if lowered.count(sr) > 1:
            raise UsageError(f"the SR {sr} is named twice: each worker and each kind takes an SR of its own")


def _check_address(url: str, trust: Trust) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(f"--target is 'emulator' or an http(s) URL, not {url!r}")
    if parts.username or parts.password:
        raise UsageError("--target must not carry a user or password: use --user and --password-file")
    Endpoint.parse(url, trust)


def refuse_unread_certificate(url: str, trust: Trust) -> None:
    """Go on only where a pinned certificate is going to be shown, else raise UsageError."""
    if trust.fingerprint and urlsplit(url).scheme == "http":
        raise UsageError("--fingerprint needs an https target: over plain http no certificate is shown")


def _secret_in(path: Path, what: str) -> str:
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the {what} file {path}: {error}") from error
    if os.name == "posix" and mode & (stat.S_IRGRP | stat.S_IROTH):
        raise UsageError(f"the {what} file {path} can be read by others: chmod 600 {path}")
    if not text:
        raise UsageError(f"the {what} file {path} is empty")
    return text
