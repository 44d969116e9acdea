"""Needs as data: which marks say what, and what is said where something is missing."""

import pytest

from xencbt.harness.capabilities import Capability
from xencbt.harness.consents import CONSENTS
from xencbt.harness.errors import HarnessError
from xencbt.harness.needs import OF_EVERY_TEST, Needs, needs, usable
from xencbt.harness.verdicts import NotRun, Unsupported


def capabilities(**absent: str) -> dict[str, Capability]:
    names = [*OF_EVERY_TEST, "raw-import", "vm-power", "toolstack-restart"]
    found = {name: Capability(name, present=True, detail="there") for name in names}
    named = {name.replace("_", "-"): detail for name, detail in absent.items()}
    return found | {name: Capability(name, present=False, detail=detail) for name, detail in named.items()}


def read(*marks: pytest.MarkDecorator) -> Needs:
    return Needs.of(mark.mark for mark in marks)


def test_marks_of_test_module_and_parameter_add_up() -> None:
    read_together = read(needs("raw-import"), needs("vm-power", optional=["faults", "raw-import"]))
    assert read_together.required == OF_EVERY_TEST | {"raw-import", "vm-power"}
    assert read_together.optional == {"faults"}
    assert read_together.consents == {"vm-power"}


def test_a_test_for_any_target_needs_only_what_it_says() -> None:
    assert read(pytest.mark.any_target, needs("raw-import")).required == {"raw-import", "role"}


def test_nothing_is_lacking_where_all_is_there_and_consented_to() -> None:
    assert read(needs("raw-import", "vm-power")).lacking(capabilities(), {"vm-power"}) is None


def test_what_the_target_lacks_is_unsupported_with_what_probing_showed() -> None:
    lacking = read(needs("raw-import")).lacking(capabilities(raw_import="no handler"), CONSENTS)
    assert isinstance(lacking, Unsupported)
    assert lacking.reason == "no handler"


def test_what_was_not_consented_to_is_not_run_and_names_the_option() -> None:
    lacking = read(needs("vm-power", "sr-unplug")).lacking(capabilities(), ())
    assert isinstance(lacking, NotRun)
    assert lacking.reason == "needs consent: --allow sr-unplug,vm-power"


def test_an_sr_that_nobody_named_says_nothing_of_the_target() -> None:
    where = capabilities(**{"sr:second": "no SR of kind 'second' was named"})
    lacking = read(needs("sr:second", "vm-power")).lacking(where, ())
    assert isinstance(lacking, NotRun)
    assert lacking.reason == (
        "no SR of kind 'second' was named: --sr-kind second=SR_UUID; needs consent: --allow vm-power"
    )
    both = capabilities(**{"sr:second": "no SR of kind 'second' was named", "vm_power": "the host is disabled"})
    assert isinstance(read(needs("sr:second", "vm-power")).lacking(both, CONSENTS), Unsupported)


def test_lack_of_the_target_comes_before_lack_of_consent() -> None:
    """Consent would not help: nobody should be asked for it in vain."""
    lacking = read(needs("vm-power")).lacking(capabilities(vm_power="the host is disabled"), ())
    assert isinstance(lacking, Unsupported)


def test_what_is_optional_is_never_lacking() -> None:
    assert read(needs(optional=["vm-power"])).lacking(capabilities(vm_power="no"), ()) is None


def test_a_name_nobody_knows_is_an_error() -> None:
    with pytest.raises(HarnessError, match="guest-wriet"):
        read(needs("guest-wriet")).lacking(capabilities(), ())


@pytest.mark.parametrize(
    ("name", "consents", "expected"),
    [("raw-import", (), True), ("vm-power", (), False), ("vm-power", ("vm-power",), True), ("faults", (), False)],
)
def test_usable_takes_capability_and_consent(name: str, consents: tuple[str, ...], expected: bool) -> None:
    assert usable(name, capabilities(), consents) is expected
