"""What a command's output means: which code of the API stands behind an explanation that varies between versions."""

import re
from dataclasses import dataclass

from xencbt.harness.outcome import Failed, Indeterminate, Ok, Outcome

UNRECOGNISED = "UNRECOGNISED"
"""The code of a refusal whose explanation no code is known for; its parameter is the explanation."""

KEPT_TEXT = 500

REFUSED = 1
"""How a command exits that was refused."""

TELLING: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("UUID_INVALID", ("uuid", "invalid")),
    ("HANDLE_INVALID", ("invalid object reference",)),
    ("SESSION_AUTHENTICATION_FAILED", ("credentials",)),
    ("SESSION_AUTHENTICATION_FAILED", ("authentication", "failed")),
    ("SESSION_INVALID", ("invalid session",)),
    ("RBAC_PERMISSION_DENIED", ("permission denied",)),
    ("LICENCE_RESTRICTION", ("licen", "feature")),
    ("VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION", ("on-boot",)),
    ("VDI_INCOMPATIBLE_TYPE", ("incompatible type",)),
    ("VDI_NO_CBT_METADATA", ("not have changed block tracking metadata",)),
    ("VDI_CBT_ENABLED", ("cbt", "enabled")),
    ("VDI_MISSING", ("vdi", "could not be found")),
    ("VDI_IN_USE", ("vdi", "in use")),
    ("SR_HAS_NO_PBDS", ("no attached pbds",)),
    ("SR_NOT_ATTACHED", ("sr is not attached",)),
    ("SR_OPERATION_NOT_SUPPORTED", ("sr", "not support the operation")),
    ("OTHER_OPERATION_IN_PROGRESS", ("another operation", "in progress")),
    ("OPERATION_NOT_ALLOWED", ("operation", "not allowed")),
)
"""Codes by words that all stand in their explanation, whatever the case; the more special ones come first."""

CODES = frozenset(code for code, _ in TELLING)
_STORAGE = re.compile(r"SR_BACKEND_FAILURE(?:_\d+)?")
_NAME = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
_CODE = re.compile(r"Error code: *(\S+)")
_PARAMETERS = re.compile(r"Error parameters: ?(.*)")
_PARAMETER = re.compile(r"(?P<name>[A-Za-z<][A-Za-z_<> ]{0,30}): (?P<value>.*)")
_NAMED_OBJECT = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}) \(.*\)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class XeResult:
    """What a command did, as a person at the command line sees it."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def outcome(self) -> Outcome:
        """Ok(what was printed), the refusal as the API would have told it, or doubt where no xe ended by itself.

        Object parameters of a refusal are uuids.
        """
        if self.exit_code == 0:
            return Ok(self.stdout)
        if self.exit_code < 0 or self.exit_code >= 126:  # killed, not found, or what carried it (ssh) failed
            return Indeterminate(f"the command exited with {self.exit_code}: {self.stderr.strip()[:200]}")
        return recognised(self.stderr)


def recognised(text: str) -> Failed:
    r"""Return the refusal that `text` (standard error of a command) tells of.

    The code's name decides where it is printed, else the words of its explanation.

    >>> str(recognised("The uuid you supplied was invalid.\ntype: VDI\nuuid: 4711\n"))
    'UUID_INVALID[VDI, 4711]'
    """
    lines = [line.rstrip("\r") for line in text.split("\n")]
    for number, line in enumerate(lines):
        if printed := _CODE.match(line):
            found = _PARAMETERS.match(lines[number + 1]) if number + 1 < len(lines) else None
            return Failed(printed[1], tuple(found[1].split(", ")) if found and found[1] else ())
    for number, line in enumerate(lines):
        if code := _named(line) or _explained(line):
            return Failed(code, _parameters(lines[number + 1 :]))
    return Failed(UNRECOGNISED, (text.strip()[:KEPT_TEXT],))


def _named(line: str) -> str | None:
    names = [name for name in _NAME.findall(line) if name in CODES or _STORAGE.fullmatch(name)]
    return names[0] if names else None


def _explained(line: str) -> str | None:
    folded = line.casefold()
    return next((code for code, words in TELLING if all(word in folded for word in words)), None)


def _parameters(lines: list[str]) -> tuple[str, ...]:
    found = [_PARAMETER.fullmatch(line) for line in lines if line]
    return tuple(_NAMED_OBJECT.sub(r"\1", one["value"]) for one in found if one)
