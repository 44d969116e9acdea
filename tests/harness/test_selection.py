import pytest

from xencbt.harness.errors import UsageError
from xencbt.harness.selection import Candidate, Selection, check_names, id_of, suite_of

ENABLE_13 = Candidate("enable", ("ENABLE-13",))
BOTH = Candidate("disable", ("DISABLE-01", "ENABLE-13"))


def test_nothing_named_selects_everything() -> None:
    assert Selection().selects(ENABLE_13)
    assert not Selection().filtered


def test_suites_and_requirements_narrow_together() -> None:
    assert Selection(requirements=("ENABLE-13",)).selects(BOTH)
    assert not Selection(suites=("enable",), requirements=("ENABLE-13",)).selects(BOTH)
    assert Selection(suites=("enable",), requirements=("ENABLE-13",)).selects(ENABLE_13)
    assert not Selection(requirements=("ENABLE-01",)).selects(BOTH)


def test_an_unknown_name_is_refused_with_the_nearest_known() -> None:
    check_names(["enable"], {"enable"}, "suite")
    with pytest.raises(UsageError, match=r"unknown suite 'enabel'; did you mean enable\?"):
        check_names(["enabel"], {"enable", "status"}, "suite")
    with pytest.raises(UsageError, match="known: enable, status"):
        check_names(["zzz"], {"enable", "status"}, "suite")


def test_ids_do_not_depend_on_how_pytest_was_started() -> None:
    assert id_of("xencbt.suites.test_enable", "test_x[user]") == "suites.test_enable::test_x[user]"
    assert suite_of("xencbt.suites.test_backup_sets") == "backup_sets"
