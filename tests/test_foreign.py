"""A judge that is missing is never taken for one that was content."""

import pytest

from tests.foreign import REQUIRED, require

ABSENT = "no-program-of-this-name"


def test_what_is_there_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRED, "sh")
    require("sh")


def test_what_is_missing_is_a_skip_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REQUIRED, raising=False)
    with pytest.raises(pytest.skip.Exception, match=ABSENT):
        require("sh", ABSENT)


def test_what_was_promised_and_is_missing_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRED, f"sh,{ABSENT}")
    with pytest.raises(pytest.fail.Exception, match=ABSENT):
        require(ABSENT)
