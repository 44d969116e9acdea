import pytest

from xencbt.harness.errors import UsageError
from xencbt.harness.profiles import DEVIATIONS, PROFILES, profile_for, profile_named


@pytest.mark.parametrize("brand", ["XenServer", "XCP-ng", "Citrix Hypervisor", "xenserver"])
def test_known_brands_run_xapi(brand: str) -> None:
    assert profile_for({"product_brand": brand}) == (PROFILES["xapi"], None)


@pytest.mark.parametrize("software_version", [{}, {"product_brand": ""}, {"product_brand": "Another"}])
def test_any_other_brand_is_judged_by_the_documentation_with_a_warning(software_version: dict[str, str]) -> None:
    profile, warning = profile_for(software_version)
    assert profile is PROFILES["documented"]
    assert warning is not None
    assert "judging by the documentation alone" in warning


def test_the_documented_profile_accepts_nothing_and_xapi_every_deviation() -> None:
    assert PROFILES["documented"].deviations == frozenset()
    assert PROFILES["xapi"].deviations == set(DEVIATIONS) == {"D-01", "D-02", "D-03"}


def test_every_deviation_says_why_and_what_it_accepts() -> None:
    for name, deviation in DEVIATIONS.items():
        assert deviation.id == name
        assert deviation.title
        assert deviation.reason
        assert deviation.accepts


def test_an_unknown_profile_names_the_known_ones() -> None:
    assert profile_named("xapi").accepts("D-01")
    with pytest.raises(UsageError, match="known are documented, xapi"):
        profile_named("xapy")
