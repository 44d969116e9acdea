"""A ledger as a text that people keep: entries are added and taken out, and nothing else of it is touched; pure."""

import datetime as dt
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from xencbt.harness.ledger import SCHEMA, BadLedger, Issue, parsed

_HEADER = re.compile(r"\[\[issue\]\]\s*(?:#.*)?$")
_SILENT = re.compile(r"\s*(?:#.*)?$")
_SEEN = re.compile(r"^seen = .*$", re.MULTILINE)
NEW = f'schema = "{SCHEMA}"\n'
"""A ledger without entries."""


def added(text: str, issue: Issue) -> str:
    """Return the ledger `text` with one more entry; raises BadLedger where the id is there already."""
    before = parsed(text)
    grown = text.rstrip("\n") + "\n\n" + entry_text(issue)
    if parsed(grown) != (*before, issue):
        raise BadLedger(f"issue {issue.id}: cannot be written into this file")
    return grown


def updated(text: str, *, gone: Collection[str], seen: Mapping[str, str]) -> str:
    """Return the ledger without the entries `gone`, and with what is told of those `seen`, both by id."""
    head, blocks = _blocks(text)
    issues = parsed(text)
    if len(blocks) != len(issues):
        raise BadLedger("entries of this file do not begin with a line [[issue]] each: change it by hand")
    changed = head
    for (block, after), issue in zip(blocks, issues, strict=True):
        if issue.id not in gone:
            changed += (_with_seen(block, seen[issue.id]) if issue.id in seen else block) + after
        elif after.strip():
            changed += after
    wanted = tuple(replace(issue, seen=seen.get(issue.id, issue.seen)) for issue in issues if issue.id not in gone)
    if parsed(changed) != wanted:
        raise BadLedger("this file is written in a way that cannot be changed without harm: change it by hand")
    return changed


def entry_text(issue: Issue) -> str:
    """Return one entry as TOML, its steps a line each."""
    lines = ["[[issue]]"]
    for key in ("id", "requirement", "fingerprint", "reason", "link", "owner"):
        value = getattr(issue, key)
        lines += [f"{key} = {_toml(value)}"] if value else []
    lines.append(f"expires = {issue.expires.isoformat()}")
    lines += [f"seen = {_toml(issue.seen)}"] if issue.seen else []
    target = {key: getattr(issue.target, key) for key in ("brand", "version", "sr") if getattr(issue.target, key)}
    lines += [f"target = {_toml(target)}"] if target else []
    witness = issue.witness.as_json()
    lines += ["steps = [", *(f"  {_toml(step)}," for step in witness["steps"]), "]"]
    lines.append(f"check = {_toml(witness['check'])}")
    return "\n".join(lines) + "\n"


def _blocks(text: str) -> tuple[str, list[tuple[str, str]]]:
    """Return what stands before the first entry, and each entry with what stands between it and the next.

    Comments right above an entry are its own; those that an empty line parts from it are nobody's.
    """
    lines = text.splitlines(keepends=True)
    starts = [_above(lines, at) for at, line in enumerate(lines) if _HEADER.match(line)]
    blocks = []
    for start, end in pairwise([*starts, len(lines)]):
        last = next(at for at in range(end, start, -1) if not _SILENT.match(lines[at - 1]))
        blocks.append(("".join(lines[start:last]), "".join(lines[last:end])))
    return "".join(lines[: starts[0]]) if starts else text, blocks


def _above(lines: Sequence[str], at: int) -> int:
    while at > 0 and lines[at - 1].lstrip().startswith("#"):
        at -= 1
    return at


def _with_seen(block: str, seen: str) -> str:
    line = f"seen = {_toml(seen)}"
    if _SEEN.search(block):
        return _SEEN.sub(lambda _: line, block, count=1)
    return block.replace("\nexpires = ", f"\n{line}\nexpires = ", 1)


def _toml(value: Any) -> str:
    """Write a value inline; TOML has no null, which stands for nothing in a table."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case int() | float():
            return str(value)
        case dt.date():
            return value.isoformat()
        case Mapping():
            pairs = (f"{_key(key)} = {_toml(one)}" for key, one in value.items() if one is not None)
            return f"{{ {', '.join(pairs)} }}" if value else "{}"
        case list() | tuple():
            return f"[{', '.join(_toml(one) for one in value)}]"
        case _:
            raise BadLedger(f"{value!r} cannot stand in a ledger")


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key, re.ASCII) else json.dumps(key, ensure_ascii=False)
