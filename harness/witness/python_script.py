"""A bundle as a Python script that needs nothing but the official binding."""

import re
from importlib.resources import files

from xencbt.harness.witness.bundles import Bundle
from xencbt.harness.witness.steps import Step
from xencbt.harness.witness.vocabulary import NULL, Anything, Given, class_of
from xencbt.harness.witness.witness import step_in_words

BEYOND = frozenset(
    (
        *("guest-write", "begin", "end", "crash", "restart-toolstack", "lend"),  # the control of an emulated host
        *("arm", "heal"),  # an interceptor
        *("nbd-open", "nbd-read", "xe", "import-image", "read-image", "reimport-vm"),  # other protocols and files
        *("send-vm", "can-send-vm"),  # what the receiving host gives out
        *("messages", "all-records"),  # all objects of a host, with names for ours
    )
)
"""Steps that take more than calls about known objects and the transfer of ranges."""

_DOCSTRING = re.compile(r'\A""".*?"""\n', re.DOTALL)
_OF_THE_PROJECT = re.compile(r"\nfrom xencbt\..*\n")


def python_script(bundle: Bundle) -> str:
    """Return the script; empty where a step takes more than calls and transfers."""
    steps = bundle.witness.steps
    if any(step.do in BEYOND or step.line for step in steps):
        return ""
    runtime = _text_of("standalone.py")
    if any(step.background for step in steps):
        runtime += f"\n\n{_OF_THE_PROJECT.sub('', _text_of('standalone_tasks.py')).lstrip()}"
    body = "\n".join(
        f"    {line}" for at, step in enumerate(steps, 1) for line in _lines(at, step, last=at == len(steps))
    )
    expected = [dict(each) for each in bundle.witness.check.expected]
    needed = tuple(sorted({sr for step in steps for sr in _srs(step)}))
    return (
        f"#!/usr/bin/env python3\n{_told(bundle)}{runtime}\n\n"
        f"def steps(host: Host) -> dict[str, Any]:\n"
        f'    """Do what shows the failure, and return the last answer."""\n{body}\n\n\n'
        f"EXPECTED = {expected!r}\nNEEDED = {needed!r}\n\n"
        f'if __name__ == "__main__":\n    sys.exit(main(steps, EXPECTED, NEEDED))\n'
    )


def _text_of(module: str) -> str:
    return _DOCSTRING.sub("", files("xencbt.harness.witness").joinpath(module).read_text(encoding="utf-8"))


def _told(bundle: Bundle) -> str:
    lines = [
        f"{', '.join(bundle.requirement)}: {_plain(bundle.reason)}",
        "",
        f"Found by xencbt {_plain(bundle.suite)}, seed {bundle.seed}, on {_plain(str(bundle.target))}.",
        "Makes its own disks and removes them. Prints FIXED (exit 0), FAILED (exit 1) or ERROR (exit 4).",
        "",
        "    pip install XenAPI",
        "    XENCBT_PASSWORD=... python3 SCRIPT https://HOST --user root --sr UUID [--ca FILE]",
        "",
        *(f"{number}. {_plain(words)}" for number, words in enumerate(bundle.witness.words(), 1)),
    ]
    return "\n".join(f"# {line}".rstrip() for line in lines) + "\n\n"


def _plain(text: str) -> str:
    return " ".join(text.split())


def _srs(step: Step) -> set[str]:
    return {str(value).removeprefix("sr:") for value in step.given.values() if str(value).startswith("sr:")}


def _lines(number: int, step: Step, *, last: bool) -> list[str]:
    told, call = f"# {number}. {_plain(step_in_words(step))}", _call(step)
    if last:
        return [told, f"return {call}"]
    if step.saw is not None and "failed" in step.saw:
        return [told, call]
    lines = [told, f"answer = host.must({number}, {call})"]
    if step.makes:
        arguments = ", ".join(map(repr, (step.makes, class_of(step.makes))))
        lines.append(f"{_variable(step.makes)} = host.named({arguments}, answer)")
    for alias, path in step.names.items():
        arguments = ", ".join(map(repr, (alias, class_of(alias))))
        found = "".join(f"[{part!r}]" for part in path)
        lines.append(f"{_variable(alias)} = host.known({arguments}, answer{found})")
    return lines


def _call(step: Step) -> str:
    given, verb = step.given, step.verb
    match step.do:
        case "create":
            sm_config = {"type": "raw"} if given["raw"] else {}
            return f"host.disk({_kind(given['sr'])!r}, {given['type']!r}, {given['size']}, {sm_config!r})"
        case "create-vm":
            return "host.vm()"
        case "attach":
            return f"host.vbd({_variable(given['vm'])}, {_variable(given['disk'])}, {given['mode']!r})"
        case "write":
            return f"host.write({_variable(given['disk'])}, {[tuple(one) for one in given['ranges']]!r})"
        case "read":
            return f"host.read({_variable(given['disk'])}, {given['offset']}, {given['length']})"
        case "field" | "record":
            method = f"{class_of(given['of'])}.get_{given.get('field', 'record')}"
            return f"host.attempt({method!r}, {_variable(given['of'])})"
        case "find":
            return f"host.attempt('VDI.get_by_uuid', {_uuid(given['uuid_of'])})"
    parts = [_parameter(part, step) for part in verb.shape]
    if step.background:
        return f"in_background({', '.join(['host', repr(verb.method), *parts])})"
    return f"host.attempt({', '.join([repr(verb.method), *parts])})"


def _parameter(part: object, step: Step) -> str:
    if isinstance(part, Anything):
        return "'xencbt replay'"
    if not isinstance(part, Given):
        return "NULL" if part == NULL else repr(part)
    value = step.given[part.name]
    kind = step.verb.takes[part.name]
    if kind == "size":
        return repr(str(value))
    return _variable(value) if kind in {"VDI", "VM", "VBD", "SR"} else repr(value)


def _variable(alias: str) -> str:
    if alias == "null":
        return "NULL"
    if alias == "nobody":
        return "NOBODY"
    if alias.startswith("sr:"):
        return f"host.srs[{_kind(alias)!r}]"
    return alias.replace("-", "_")


def _uuid(alias: str) -> str:
    return "NOBODY_UUID" if alias == "nobody" else f"host.call('VDI.get_uuid', {_variable(alias)})"


def _kind(alias: str) -> str:
    return alias.removeprefix("sr:")
