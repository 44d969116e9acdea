"""The configuration file: `xencbt.toml`, or `[tool.xencbt]` of `pyproject.toml`; what it says of runs, and its lab."""

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xencbt.harness.errors import UsageError
from xencbt.harness.options import OPTIONS

SECRETS = ("password", "control_token")
"""What must not be written into a file that others read and version control keeps."""

PATHS = frozenset({"password_file", "control_token_file", "ca", "out", "journal_dir", "known_issues", "rerun", "since"})
"""Options that name a file or a folder."""

TARGETS = "targets"


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a file says: the options at its top, by key, and the tables of its targets as they stand there, unchecked.

    `path` is None where there is no file. Relative paths in it begin at `base`, the file's folder, where that is not
    the folder the command was started in.
    """

    path: Path | None = None
    base: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    targets: Any = None

    def resolved(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return `options` with every path in them as it is seen from the folder the command was started in."""
        if self.base is None:
            return dict(options)
        return {
            key: str(self.base / value) if key in PATHS and isinstance(value, str) and value else value
            for key, value in options.items()
        }


def read_configuration(folder: Path, named: str | None = None) -> Configuration:
    """Read the file `named` (its path begins at `folder`), else the one that is found in `folder`, if any.

    A file called pyproject.toml speaks in its table `[tool.xencbt]`. Raises UsageError for a file that cannot be read
    and for keys that do not belong there; options are checked for their names only.
    """
    path = _path(folder, named)
    if path is None:
        return Configuration()
    table = _toml(path)
    if path.name == "pyproject.toml":
        table = table.get("tool", {}).get("xencbt", {})
        if not isinstance(table, dict):
            raise UsageError(f"{path}: tool.xencbt is no table")
    targets = table.pop(TARGETS, None)
    try:
        options = {known_key(key): value for key, value in table.items()}
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    if "config" in options:
        raise UsageError(f"{path}: config has no place in the file that it names")
    file = Configuration(path, None if path.parent == folder else path.parent, options, targets)
    return Configuration(path, file.base, file.resolved(options), targets)


def known_key(key: str, *, besides: Collection[str] = ()) -> str:
    """Return `key` as options are keyed; raises UsageError for a secret, and for one that is no option or `besides`."""
    name = key.replace("-", "_")
    if name in SECRETS:
        raise UsageError(f"a secret does not belong into a configuration file: {key}; name a private file: {name}_file")
    known = {option.key for option in OPTIONS} | set(besides)
    if name not in known:
        raise UsageError(f"unknown key {key!r}; known: {', '.join(sorted(known))}")
    return name


def _path(folder: Path, named: str | None) -> Path | None:
    if named:
        return folder / named
    found = (folder / "xencbt.toml", folder / "pyproject.toml")
    return next((path for path in found if path.exists()), None)


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
