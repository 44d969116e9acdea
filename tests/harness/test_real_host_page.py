"""The page about real hosts says what is there: options, consents with their roles, kinds of SR."""

import re
from pathlib import Path

from xencbt.harness.asked import CREATABLE, LOOKED_AT
from xencbt.harness.consents import CONSENTS, role_of
from xencbt.harness.judge import DEFAULT_BUDGET_S
from xencbt.harness.options import OPTIONS
from xencbt.harness.roles import LEAST_ROLE
from xencbt.harness.sizes import SPARE, Limits
from xencbt.harness.spending import LOST_IN_A_ROW

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "real-host.md").read_text(encoding="utf-8")
OF_OTHER_COMMANDS = {"--json", "--dry-run"}


def rows(head: str) -> dict[str, str]:
    """Return the table below the line that begins with `head`: the first cell of each row, with the last one."""
    table = PAGE.partition(head)[2].partition("\n\n")[0].splitlines()[2:]
    return {line.split("|")[1].strip(): line.split("|")[-2].strip() for line in table}


def test_every_option_it_names_exists_and_every_fence_of_a_run_is_named() -> None:
    named = set(re.findall(r"--[a-z][a-z-]+", PAGE))
    known = {option.flag for option in OPTIONS}
    assert named - known - OF_OTHER_COMMANDS == set()
    fences = {"--allow", "--sr-kind", "--vm", "--require", "--budget", "--max-size", "--max-total", "--journal-dir"}
    assert fences | {"--ca", "--fingerprint", "--insecure", "--xe", "--password-file"} <= named


def test_every_consent_stands_there_with_its_role() -> None:
    assert rows("| consent |") == {f"`{name}`": f"`{role_of(name)}`" for name in CONSENTS}


def test_every_kind_of_sr_stands_there() -> None:
    kinds = [kind for cell in rows("| kind |") for kind in re.findall(r"`([a-z-]+)`", cell)]
    assert sorted(kinds) == sorted((*CREATABLE, *LOOKED_AT))


def test_the_numbers_are_those_of_the_program() -> None:
    assert f"the role `{LEAST_ROLE}`, the least that suffices" in PAGE
    assert (Limits().size, Limits().total, SPARE) == (1 << 30, 10 << 30, 64 << 20)
    assert "1 GiB a disk" in PAGE
    assert "10 GiB\nat a time" in PAGE
    assert "less than 64 MiB free" in PAGE
    assert f"({DEFAULT_BUDGET_S / 60:.0f} min unless said" in PAGE
    assert (LOST_IN_A_ROW, "Five calls in a row" in PAGE) == (5, True)


def test_what_it_links_to_is_there() -> None:
    for link in re.findall(r"\]\(([^)#]+)", PAGE):
        assert (ROOT / "docs" / link).exists(), link
