"""The survey of bundles is green only where something was killed, and every kill is shown."""

from tests.proof.bundled import all_shown

SHOWN = {"killed": True, "fixed": 0, "failed": 1}


def test_nothing_killed_is_nothing_shown() -> None:
    assert not all_shown([])
    assert not all_shown([{"killed": False}])


def test_every_kill_must_be_shown() -> None:
    assert all_shown([SHOWN, {"killed": False}])
    for other in ({"killed": True, "why": "no word"}, SHOWN | {"fixed": 1}, SHOWN | {"failed": 0}):
        assert not all_shown([SHOWN, other])
