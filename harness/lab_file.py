"""The lab: the targets that a configuration file names, each with the options by which it is judged."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xencbt.harness.configuration import Configuration, known_key, read_configuration
from xencbt.harness.errors import UsageError
from xencbt.harness.leading import refuse_led_by_others
from xencbt.harness.options import OPTIONS
from xencbt.harness.seeds import fresh_seed
from xencbt.harness.selection import check_names
from xencbt.harness.settings import EMULATOR, Settings, from_environment, load

ONE_TARGETS = frozenset({"target", "sr", "out", "rerun", "since"})
"""What is one target's alone: neither the top of the file nor the environment says it for all."""

NOT_IN_A_TABLE = {
    "out": "each target's folder is named after it",
    "target": "say url",
    "config": "this is the file",
    "rerun": "a lab makes runs of its own",
    "since": "compare the runs of two labs target by target",
}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One target of the lab: its name, what it will be judged with, and the words of `xencbt run` that say so."""

    name: str
    settings: Settings
    words: tuple[str, ...]

    @property
    def workers(self) -> int:
        """How many workers judge it, each on an SR of its own; 0 where one process does."""
        return len(self.settings.srs) if len(self.settings.srs) > 1 else 0


def load_lab(
    given: Mapping[str, Any], *, only: Sequence[str] = (), environment: Mapping[str, str], folder: Path
) -> tuple[Entry, ...]:
    """Read the targets of the lab, in the order of the file, or `only` those named, and check everything of each.

    The command line (`given`, by option key) goes before a target's table, that before the environment, and that before
    the top of the file. Without a seed, one is drawn for all, so that all see the same choices. Raises UsageError,
    naming the file and the target, for anything that cannot be judged as asked, before any target is touched.
    """
    file = read_configuration(folder, given.get("config") or environment.get("XENCBT_CONFIG"))
    tables = _tables(file)
    assert file.path is not None, "there are targets"
    refuse_led_by_others(file.path, {"targets": tables})
    check_names(only, tuple(tables), "target of the lab")
    for key in ("sr", "target"):
        if given.get(key):
            raise UsageError(f"--{key} is one target's: with --lab it stands in the target's table of {file.path}")
    chosen = [name for name in tables if not only or name in only]
    seed = fresh_seed()
    entries = []
    for name in chosen:
        try:
            entries.append(_entry(name, tables[name], file, given, environment, seed))
        except UsageError as error:
            raise UsageError(f"{file.path}, targets.{name}: {error}") from error
    _refuse_shared_srs(entries, file.path)
    return tuple(entries)


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process that judges one target: secrets stay, options are all on its command line."""
    variables = {option.variable for option in OPTIONS}
    return {name: value for name, value in environment.items() if name not in variables}


def _tables(file: Configuration) -> dict[str, dict[str, Any]]:
    if file.path is None:
        raise UsageError("there is no lab here: --lab needs xencbt.toml with a table [targets.NAME] for each target")
    if not isinstance(file.targets, dict) or not file.targets:
        raise UsageError(f"{file.path} names no target: --lab needs a table [targets.NAME] for each")
    for name, table in file.targets.items():
        if not _NAME.fullmatch(name):
            raise UsageError(f"{file.path}: {name!r} cannot name a target: letters, digits, and - _ . between them")
        if not isinstance(table, dict):
            raise UsageError(f"{file.path}: targets.{name} is no table: write [targets.{name}] above its keys")
    return file.targets


def _entry(
    name: str,
    table: Mapping[str, Any],
    file: Configuration,
    given: Mapping[str, Any],
    environment: Mapping[str, str],
    seed: int,
) -> Entry:
    own = {known_key(key, besides=("url",)): value for key, value in table.items()}
    for key, why in NOT_IN_A_TABLE.items():
        if key in own:
            raise UsageError(f"{key} has no place here: {why}")
    url = own.pop("url", None)
    if url is None:
        raise UsageError(f"url is missing: the URL of a host, or {EMULATOR!r} for one that is started for this run")
    if url == EMULATOR and "sr" in own:
        raise UsageError("sr has no place beside url = 'emulator': a host started for this run brings its own SRs")
    values: dict[str, Any] = {"seed": seed, **_for_all(file, environment), **file.resolved(own), "target": url}
    values |= {key: value for key, value in given.items() if value not in (None, [], False)}
    values |= {"out": None, "config": os.devnull}
    secrets = child_environment(environment)
    settings = load(values, environment=secrets, folder=Path(os.devnull).parent)
    if not settings.emulated_here and settings.password is None:
        raise UsageError("no password: name a private file with password_file, or set XENCBT_PASSWORD")
    _ = settings.control_token, settings.trust
    return Entry(name, settings, _words(values))


def _for_all(file: Configuration, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what the file's top says for all targets, and before it the environment."""
    values = {key: value for key, value in file.options.items() if key not in ONE_TARGETS}
    for option in OPTIONS:
        said = from_environment(option, environment)
        if said is not None and option.key not in ONE_TARGETS:
            values[option.key] = said
    return values


def _words(values: Mapping[str, Any]) -> tuple[str, ...]:
    words: list[str] = []
    for option in OPTIONS:
        value = values.get(option.key)
        if value is None or value is False:
            continue
        several = value if isinstance(value, list | tuple) else [value]
        words += [option.flag] if value is True else [f"{option.flag}={each}" for each in several]
    return tuple(words)


def _refuse_shared_srs(entries: Sequence[Entry], path: Path | None) -> None:
    """Refuse an SR that two targets would work on: whatever the addresses, a uuid is one SR."""
    holders: dict[str, str] = {}
    for entry in entries:
        for sr in map(str.lower, entry.settings.srs):
            if sr in holders:
                both = f"{holders[sr]} and {entry.name}"
                raise UsageError(f"{path}: the targets {both} name the same SR {sr}: no two are judged on one SR")
            holders[sr] = entry.name
    for entry in entries:
        for named in entry.settings.repositories:
            if holders.get(named.sr, entry.name) != entry.name:
                other = f"and {holders[named.sr]} is judged on it"
                raise UsageError(f"{path}: {entry.name} names the SR {named.sr} as {named.kind}, {other}")
