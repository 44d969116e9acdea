"""Aliases numbered anew, in the order in which they are made: what was left out leaves no gap; pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from xencbt.harness.witness.steps import Step
from xencbt.harness.witness.vocabulary import CLASSES

_OWN = re.compile(rf"(?<![\w-])(?:{'|'.join(CLASSES)})-[1-9]\d{{0,3}}(?![\w-])")


def aliases_in(data: object) -> frozenset[str]:
    """Return the aliases of objects that plain data speaks of."""
    if isinstance(data, str):
        return frozenset(_OWN.findall(data))
    if isinstance(data, Mapping):
        return frozenset[str]().union(*map(aliases_in, data), *map(aliases_in, data.values()))
    return frozenset[str]().union(*map(aliases_in, data)) if isinstance(data, list | tuple) else frozenset()


def numbered_anew(steps: Sequence[Step], check: Mapping[str, Any]) -> tuple[tuple[Step, ...], dict[str, Any]]:
    """Return `steps` and a check (as JSON data) with the aliases counted from 1 again."""
    counts: dict[str, int] = {}
    names: dict[str, str] = {}
    for step in steps:
        for alias in [*([step.makes] if step.makes else []), *step.names]:
            prefix = alias.rpartition("-")[0]
            counts[prefix] = counts.get(prefix, 0) + 1
            names[alias] = f"{prefix}-{counts[prefix]}"

    def rename(value: Any) -> Any:
        if isinstance(value, str):
            return _OWN.sub(lambda found: names.get(found[0], f"<other {found[0].rpartition('-')[0]}>"), value)
        if isinstance(value, Mapping):
            return {rename(key): rename(one) for key, one in value.items()}
        if isinstance(value, list):
            return [rename(one) for one in value]
        return value

    renamed = [
        replace(
            step,
            given={
                key: names.get(value, value) if isinstance(value, str) else value for key, value in step.given.items()
            },
            makes=names.get(step.makes, ""),
            names={names[alias]: path for alias, path in step.names.items()},
            saw=None if step.saw is None else rename(dict(step.saw)),
        )
        for step in steps
    ]
    return tuple(renamed), rename(dict(check))
