"""The ledger of known issues: read strictly, changed without harm, sorted by target, and judged by a replay."""

import datetime as dt
import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # ships no types
import pytest
from referencing import Registry, Resource

from tests.harness.witness.examples import CHECK, STEPS
from xencbt.harness.errors import UsageError
from xencbt.harness.fingerprint import fingerprint
from xencbt.harness.knowing import KnownIssues
from xencbt.harness.ledger import BadLedger, Issue, Predicate, ledger_text, load_ledger, parsed, read_ledger
from xencbt.harness.ledger_file import NEW, added, entry_text, updated
from xencbt.harness.verdicts import Verdict
from xencbt.harness.witness.bundles import Subject
from xencbt.harness.witness.concluding import conclude

DOCS = Path(__file__).parents[2] / "docs"
REASON = "VDI.enable_cbt must be refused"
PRINT = fingerprint("ENABLE-15", "fail", REASON, "success")
ENTRY: dict[str, Any] = {
    "id": "XS-1",
    "requirement": "ENABLE-15",
    "fingerprint": PRINT,
    "link": "https://example.org/1",
    "owner": "storage team",
    "expires": dt.date(2027, 1, 31),
    "steps": STEPS,
    "check": CHECK,
}
TARGET = Subject("host", "XenServer", "8.4.0", "build", "lvm", "xapi")
SAME: list[Any] = [step["saw"] for step in STEPS]
REFUSED: dict[str, Any] = {"failed": "OPERATION_NOT_ALLOWED", "params": []}


def ledger(*entries: dict[str, Any]) -> tuple[Issue, ...]:
    return read_ledger({"schema": "xencbt.issues/1", "issue": list(entries)})


def issue(**changed: Any) -> Issue:
    (read,) = ledger(ENTRY | changed)
    return read


def test_the_documented_entry_is_read_and_is_as_the_schema_says(tmp_path: Path) -> None:
    example = re.search(r"```toml\n(.*?)```", (DOCS / "known-issues.md").read_text(), re.DOTALL)
    assert example is not None
    (tmp_path / "issues.toml").write_text(example[1])
    (read,) = load_ledger(tmp_path / "issues.toml")
    assert read.fingerprint == PRINT
    assert parsed(NEW + entry_text(read)) == (read,)
    schemas = {name: json.loads((DOCS / name).read_text()) for name in ("bundle.schema.json", "issues.schema.json")}
    registry: Any = Registry().with_resources(
        [(name, Resource.from_contents(content)) for name, content in schemas.items()]
    )
    validator = jsonschema.Draft202012Validator(
        schemas["issues.schema.json"] | {"$id": "issues.schema.json"}, registry=registry
    )
    data = json.loads(json.dumps(tomllib.loads(example[1]), default=str))
    validator.validate(data)
    data["issue"][0]["steps"][0]["do"] = "VDI.destroy"
    assert list(validator.iter_errors(data))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"requirement": "NO-1"}, "NO-1"),
        ({"fingerprint": "xyz"}, "fingerprint"),
        ({"expires": "2027-01-31"}, "expires"),
        ({"expires": dt.datetime(2027, 1, 31, tzinfo=dt.UTC)}, "expires"),
        ({"link": "file:///etc/passwd"}, "link"),
        ({"id": "a b"}, "id"),
        ({"owner": "a\nb"}, "owner"),
        ({"owner": ""}, "owner"),
        ({"colour": "red"}, "'colour' is unknown"),
        ({"target": {"brand": "X", "host": "Y"}}, "target"),
        ({"target": {"version": "8"}}, "no range"),
        ({"steps": []}, "steps"),
        ({"check": {}}, "check"),
    ],
)
def test_an_entry_that_cannot_be_used_is_named(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(BadLedger, match=r"issue (XS-1|1)") as refused:
        issue(**changed)
    assert said in str(refused.value)


@pytest.mark.parametrize("missing", sorted(ENTRY))
def test_every_field_but_the_optional_ones_must_be_there(missing: str) -> None:
    with pytest.raises(BadLedger):
        ledger({key: value for key, value in ENTRY.items() if key != missing})


def test_an_id_is_there_once_and_the_schema_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadLedger, match="twice"):
        ledger(ENTRY, ENTRY)
    with pytest.raises(BadLedger, match="schema"):
        read_ledger({"issue": []})
    (tmp_path / "x.toml").write_bytes(b"\xff")
    for path in (tmp_path / "x.toml", tmp_path / "absent.toml"):
        with pytest.raises(UsageError, match=path.name):
            load_ledger(path)


@pytest.mark.parametrize(
    ("predicate", "said"),
    [
        (Predicate(), ""),
        (Predicate("xenserver", ">=8, <9", "lvm"), ""),
        (Predicate(brand="XCP-ng"), "brand"),
        (Predicate(version="<8.4"), "version"),
        (Predicate(sr="nfs"), "driver"),
    ],
)
def test_an_entry_is_about_some_targets(predicate: Predicate, said: str) -> None:
    assert bool(predicate.mismatch(TARGET)) is bool(said)
    assert said in predicate.mismatch(TARGET)


TEXT = f"# ours\n{NEW}\n# first\n{entry_text(issue())}# between\n\n{entry_text(issue(id='XS-2'))}"


def test_an_entry_is_added_and_the_rest_stays() -> None:
    grown = added(TEXT, issue(id="XS-3", reason='a "quoted" \\ reason ü', target={"brand": "X", "version": ">=1"}))
    assert grown.startswith(TEXT.rstrip("\n"))
    assert [each.id for each in parsed(grown)] == ["XS-1", "XS-2", "XS-3"]
    with pytest.raises(BadLedger, match="twice"):
        added(grown, issue())


def test_what_is_fixed_is_taken_out_and_what_was_seen_is_noted() -> None:
    changed = updated(TEXT, gone={"XS-1"}, seen={"XS-2": "2026-11-29 on XenServer 8.4.0"})
    assert [(each.id, each.seen) for each in parsed(changed)] == [("XS-2", "2026-11-29 on XenServer 8.4.0")]
    assert "# ours" in changed
    again = updated(changed, gone=(), seen={"XS-2": "later"})
    assert [each.seen for each in parsed(again)] == ["later"]
    assert updated(TEXT, gone=(), seen={}) == TEXT


def test_comments_right_above_an_entry_are_its_own_and_others_stay() -> None:
    first, second = entry_text(issue()), entry_text(issue(id="XS-2"))
    text = f"# ours\n{NEW}\n# a section\n\n# of the first\n{first}# between\n\n# of the second\n{second}# the end\n"
    without_first = updated(text, gone={"XS-1"}, seen={})
    assert without_first == f"# ours\n{NEW}\n# a section\n\n# between\n\n# of the second\n{second}# the end\n"
    assert updated(text, gone={"XS-2"}, seen={}) == text.replace(f"# of the second\n{second}", "")
    assert updated(text, gone={"XS-1", "XS-2"}, seen={}).endswith("# a section\n\n# between\n\n# the end\n")


def test_line_ends_stay_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "ledger.toml"
    file.write_bytes(TEXT.replace("\n", "\r\n").encode())
    text = ledger_text(file)
    assert text == TEXT.replace("\n", "\r\n")
    assert [each.id for each in parsed(updated(text, gone={"XS-1"}, seen={}))] == ["XS-2"]
    assert updated(text, gone=(), seen={}) == text


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(f"schema = {'9' * 5000}".encode(), id="a number too long to be one"),
        pytest.param("schema = 'ü'".encode("latin-1"), id="not UTF-8"),
        pytest.param(b"a = " + b"[" * 20_000, id="too deep"),
        pytest.param(b"schema", id="no TOML"),
        pytest.param(b"#" * ((8 << 20) + 1), id="too large"),
    ],
)
def test_a_file_that_is_no_ledger_is_named(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "ledger.toml"
    file.write_bytes(content)
    with pytest.raises(BadLedger, match=re.escape(str(file))):
        load_ledger(file)


def test_a_file_that_would_come_to_harm_is_left_alone() -> None:
    inline = NEW + f"issue = [{{ {', '.join(line for line in entry_text(issue()).splitlines()[1:8])} }}]\n"
    with pytest.raises(BadLedger):
        updated(inline, gone=(), seen={"XS-1": "x"})
    spaced = TEXT.replace("[[issue]]", "[[ issue ]]", 1)
    assert len(parsed(spaced)) == 2
    with pytest.raises(BadLedger, match="by hand"):
        updated(spaced, gone={"XS-2"}, seen={})


@pytest.mark.parametrize(
    ("saw", "verdict"),
    [
        (lambda: SAME, Verdict.KNOWN),
        (lambda: [*SAME[:2], REFUSED], Verdict.STALE),
        (lambda: [*SAME[:2], {"failed": "X", "params": []}], Verdict.FAIL),
        (lambda: [SAME[0], None, None], Verdict.BLOCKED),
    ],
)
def test_an_entry_is_judged_by_its_replay(saw: Callable[[], list[Any]], verdict: Verdict) -> None:
    known = KnownIssues.of([issue()], TARGET, {"ENABLE-15"})
    (one,) = known.judged
    found = known.found(one, conclude(one.witness, saw()), calls=7)
    assert (found.id, found.verdict, found.requirement) == ("issue::XS-1", verdict, ("ENABLE-15",))
    assert found.issue == {"id": "XS-1", "link": ENTRY["link"], "owner": "storage team", "expires": "2027-01-31"}
    ignored = known.matching(("ENABLE-15",), REASON, "success") is not None
    assert ignored is (verdict is Verdict.KNOWN)


def test_an_expired_entry_fails_untried_and_nothing_is_ignored_for_it() -> None:
    one = issue(expires=dt.date(2020, 1, 1))
    known = KnownIssues.of([one], TARGET, {"ENABLE-15"})
    assert one.expired(known.today)
    assert not issue().expired(dt.date(2027, 1, 31))
    assert issue().expired(dt.date(2027, 2, 1))
    assert known.found(one, None).verdict is Verdict.FAIL
    assert known.matching(("ENABLE-15",), REASON, "success") is None


def test_only_the_very_failure_on_the_very_requirement_is_known() -> None:
    known = KnownIssues(holding=[issue()])
    assert known.matching(("ENABLE-10", "ENABLE-15"), REASON, "success") is not None
    assert known.matching(("ENABLE-10",), REASON, "success") is None
    assert known.matching(("ENABLE-15",), "something else", "success") is None
    assert known.matching(("ENABLE-15",), REASON, "VDI_INCOMPATIBLE_TYPE[x]") is None


def test_entries_about_other_targets_or_requirements_are_ignored_with_why() -> None:
    elsewhere = replace(issue(id="XS-2"), target=Predicate(brand="XCP-ng"))
    known = KnownIssues.of([issue(), elsewhere, issue(id="XS-3", requirement="LIST-02")], TARGET, {"ENABLE-15"})
    assert known.as_json() == {
        "judged": ["XS-1"],
        "expired": [],
        "ignored": [
            {"id": "XS-2", "reason": "the brand is 'XenServer', not 'XCP-ng'"},
            {"id": "XS-3", "reason": "LIST-02 is not selected"},
        ],
    }
