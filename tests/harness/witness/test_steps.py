"""Steps are read from data that nobody vouches for: a closed vocabulary, bounded."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xencbt.harness.witness.steps import MOST_STEPS, BadWitness, read_steps
from xencbt.harness.witness.vocabulary import VERBS

CREATE: dict[str, Any] = {
    "do": "create",
    "sr": "sr:main",
    "type": "user",
    "size": 4 << 20,
    "raw": False,
    "makes": "disk-1",
}
ENABLE: dict[str, Any] = {"do": "enable", "disk": "disk-1"}
FAULT: dict[str, Any] = {"fault": "answer-lost", "at": "enable", "nth": 1}


def test_steps_read_back_as_they_were_written() -> None:
    told = [
        {**CREATE, "saw": {"ok": "disk-1"}},
        {"do": "snapshot", "disk": "disk-1", "makes": "snapshot-1", "line": "vm-admin", "deadline_s": 5.0},
        {"do": "clone", "disk": "disk-1", "makes": "clone-1", "line": "disturbed", "background": True},
        {"do": "write", "disk": "disk-1", "ranges": [[0, 65536, 1, False]]},
        {"do": "create-vm", "makes": "vm-1"},
        {"do": "attach", "vm": "vm-1", "disk": "disk-1", "mode": "RW", "makes": "vbd-1"},
        {"do": "record", "of": "vm-1", "names": {"vbd-2": ["VBDs", 0]}},
        {"do": "enable", "disk": "nobody", "saw": {"failed": "HANDLE_INVALID", "params": ["VDI", "nobody"]}},
    ]
    steps = read_steps(told)
    assert [step.as_json() for step in steps] == told


def test_a_fault_names_its_call_by_the_verb() -> None:
    (_, armed) = read_steps([CREATE, {"do": "arm", "faults": [FAULT]}])
    (planned,) = armed.given["faults"]
    assert planned.method == "VDI.enable_cbt"
    assert armed.as_json()["faults"][0]["at"] == "enable"
    assert "VDI.enable_cbt" not in str(armed.as_json())


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"do": "VDI.destroy", "disk": "disk-1"}, "no word of the vocabulary"),
        ({"do": "destroy", "disk": "OpaqueRef:1234"}, "is no VDI"),
        ({"do": "destroy", "disk": "4f9e6f6e-3b1f-4c1e-8a55-0d9a1f6f1f11"}, "is no VDI"),
        ({"do": "destroy", "disk": "disk-2"}, "which no step before it made"),
        ({"do": "destroy", "disk": "sr:main"}, "is no VDI"),
        ({"do": "destroy", "disk": "disk-1", "force": True}, "takes no 'force'"),
        ({"do": "destroy"}, "needs 'disk'"),
        ({**CREATE, "size": 1 << 60, "makes": "disk-2"}, "is no size"),
        ({**CREATE, "size": True, "makes": "disk-2"}, "is no size"),
        ({**CREATE, "type": "../etc", "makes": "disk-2"}, "is no type"),
        (CREATE, "made a second time"),
        ({**CREATE, "makes": "vm-2"}, "makes no 'vm-2'"),
        ({**CREATE, "makes": None}, "makes no 'None'"),
        ({"do": "field", "of": "disk-1", "field": "__class__"}, "is no field"),
        ({"do": "write", "disk": "disk-1", "ranges": [[0, 1 << 40, 1]]}, "is no ranges"),
        ({"do": "write", "disk": "disk-1", "ranges": []}, "is no ranges"),
        ({"do": "xe", "command": "vdi-destroy", "disk": "disk-1"}, "is no command"),
        ({"do": "begin", "condition": "on-fire"}, "is no condition"),
        (
            {"do": "arm", "faults": [{"fault": "lab-command", "parameters": {"inject": ["sh"], "heal": ["sh"]}}]},
            "faults",
        ),
        ({"do": "arm", "faults": [{**FAULT, "at": "VDI.*"}]}, "no call of the vocabulary"),
        ({"do": "arm", "faults": [{**FAULT, "arguments": ["*"]}]}, "faults"),
        ({"do": "record", "of": "disk-1", "names": {"disk-2": ["../x"]}}, "a place is"),
        ({"do": "enable", "disk": "disk-1", "saw": {"ok": 1, "lost": True}}, "saw"),
        ({"do": "enable", "disk": "disk-1", "saw": {"ok": ["x"] * 5000}}, "too large"),
        ({"do": "enable", "disk": "disk-1", "line": "a b"}, "line"),
        ({"do": "enable", "disk": "disk-1", "deadline_s": 1e9}, "deadline_s"),
        ({"do": "enable", "disk": "disk-1", "background": 1}, "background: is true or absent"),
        ({"do": "find", "uuid_of": "disk-1", "background": True}, "find is no call about a disk"),
        ({"do": "start", "vm": "nobody", "paused": True, "background": True}, "start is no call about a disk"),
        ("enable", "must be a table"),
    ],
)
def test_what_is_outside_the_vocabulary_is_refused_by_its_step(step: object, said: str) -> None:
    with pytest.raises(BadWitness, match="step 2: ") as refused:
        read_steps([CREATE, step])
    assert said in str(refused.value)


@pytest.mark.parametrize("data", [[], {}, "steps", None, [CREATE] * (MOST_STEPS + 1)])
def test_what_is_no_list_of_steps_is_refused(data: object) -> None:
    with pytest.raises(BadWitness, match="steps"):
        read_steps(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["disk-1", "nobody", "sr:main"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.data())
def test_any_data_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    verb = VERBS[data.draw(st.sampled_from(sorted(VERBS)))]
    step: dict[str, Any] = {name: data.draw(JSON) for name in verb.takes} | {"do": verb.name}
    step |= data.draw(
        st.dictionaries(
            st.sampled_from(["makes", "names", "saw", "line", "deadline_s", "background"]), JSON, max_size=2
        )
    )
    try:
        steps = read_steps([CREATE, step])
    except BadWitness:
        return
    assert read_steps([one.as_json() for one in steps]) == steps


def test_the_documented_steps_are_steps() -> None:
    page = (Path(__file__).parents[3] / "docs" / "replay.md").read_text()
    examples = [json.loads(line) for line in re.findall(r"^\{\"do\".*\}$", page, re.MULTILINE)]
    assert [step.do for step in read_steps(examples)] == ["create", "snapshot", "enable"]
