"""The order of the checks every call passes, and the generated accessors."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.served import PASSWORD, Failed, decode, furnish
from xencbt.fixtures.emulator.accessors import accessors
from xencbt.fixtures.emulator.calls import Calls
from xencbt.fixtures.emulator.dispatch import SESSIONS_COUNTED
from xencbt.fixtures.emulator.host import EmulatedHost
from xencbt.fixtures.emulator.methods import METHODS, make, method
from xencbt.fixtures.emulator.options import Limits, Options, Profile
from xencbt.fixtures.emulator.roles import Role
from xencbt.fixtures.emulator.schema import CLASSES, ENUMS, Access
from xencbt.fixtures.emulator.values import EPOCH, Kind, Timestamp, Type, Value

STORED = [name for name, cls in CLASSES.items() if cls.stored]


class Bare:
    """A bare host, called without a wire but through the codec's writer."""

    def __init__(self, **options: Any) -> None:
        self.host = EmulatedHost(Options(password=PASSWORD, **options))
        self.vdi = furnish(self.host)
        self.calls = Calls(self.host)
        self.session = self.login("root")

    def login(self, user: str, password: str = PASSWORD) -> str:
        return str(self.unbound("session.login_with_password", user, password))

    def unbound(self, name: str, *params: Any) -> Any:
        answer = self.calls.begin(name, params)
        assert isinstance(answer, bytes)
        return decode(answer)

    def call(self, name: str, *params: Any) -> Any:
        return self.unbound(name, self.session, *params)

    def refused(self, name: str, *params: Any) -> tuple[str, ...]:
        with pytest.raises(Failed) as failed:
            self.unbound(name, *params)
        return tuple(failed.value.args)


@pytest.fixture
def bare() -> Bare:
    return Bare()


def test_parameters_are_counted_before_anything_else(bare: Bare) -> None:
    code = "MESSAGE_PARAMETER_COUNT_MISMATCH"
    assert bare.refused("VDI.get_record") == (code, "VDI.get_record", "1", "0")
    assert bare.refused("VDI.get_record", "no session") == (code, "VDI.get_record", "1", "0")
    assert bare.refused("VDI.get_record", "no session", 1, 2) == (code, "VDI.get_record", "1", "2")
    assert bare.refused("session.login_with_password", "root") == (code, "session.login_with_password", "2", "1")
    assert bare.refused("session.login_with_password", *"12345") == (code, "session.login_with_password", "4", "5")


def test_types_come_before_the_session(bare: Bare) -> None:
    assert bare.refused("VDI.set_tags", "no session", "no ref", "no list") == ("FIELD_TYPE_ERROR", "value")
    assert bare.refused("VDI.get_record", "no session", 5) == ("FIELD_TYPE_ERROR", "self")
    assert bare.refused("VDI.get_record", 5, bare.vdi) == ("FIELD_TYPE_ERROR", "session_id")
    assert bare.refused("host.set_display", "no session", "no ref", "purple")[:3] == (
        "VALUE_NOT_SUPPORTED",
        "value",
        "purple",
    )


def test_the_session_comes_before_role_and_reference(bare: Bare) -> None:
    assert bare.refused("VDI.set_tags", "no session", "no ref", []) == ("SESSION_INVALID", "no session")


def test_the_role_comes_before_the_reference(bare: Bare) -> None:
    reader = bare.login("read-only")
    code, permission, text = bare.refused("VDI.set_tags", reader, "no ref", [])
    assert (code, permission) == ("RBAC_PERMISSION_DENIED", "vdi.set_tags")
    assert "pool-admin, vm-admin" in text
    assert "vm-operator" not in text


def test_the_reference_comes_last(bare: Bare) -> None:
    assert bare.refused("VDI.set_tags", bare.session, "no ref", []) == ("HANDLE_INVALID", "VDI", "no ref")
    assert bare.refused("pool.set_default_SR", bare.session, bare.call("pool.get_all")[0], "no ref") == (
        "HANDLE_INVALID",
        "SR",
        "no ref",
    )


def test_an_unknown_method_needs_a_session_to_be_told_so(bare: Bare) -> None:
    assert bare.refused("VDI.paint", "no session") == ("SESSION_INVALID", "no session")
    assert bare.refused("VDI.paint", bare.session) == ("MESSAGE_METHOD_UNKNOWN", "VDI.paint")
    assert bare.refused("Async.VDI.get_uuid", bare.session, bare.vdi) == (
        "MESSAGE_METHOD_UNKNOWN",
        "Async.VDI.get_uuid",
    )


@pytest.mark.parametrize(
    ("user", "may"), [("read-only", False), ("vm-operator", False), ("vm-admin", True), ("root", True)]
)
def test_roles_decide_who_may_write(bare: Bare, user: str, may: bool) -> None:
    session = bare.login(user)
    assert bare.unbound("VDI.get_name_label", session, bare.vdi) == "disk"
    if may:
        assert bare.unbound("VDI.set_tags", session, bare.vdi, ["a"]) == ""
    else:
        assert bare.refused("VDI.set_tags", session, bare.vdi, ["a"])[0] == "RBAC_PERMISSION_DENIED"
    assert (bare.call("VDI.get_tags", bare.vdi) == ["a"]) is may


@pytest.mark.parametrize("user", ["read-only", "vm-operator", "vm-admin"])
def test_a_session_tells_what_its_role_may_call(bare: Bare, user: str) -> None:
    session = bare.login(user)
    permissions = bare.unbound("session.get_rbac_permissions", session, session)
    assert "vdi.get_tags" in permissions
    assert ("vdi.set_tags" in permissions) is (user == "vm-admin")


def test_a_local_superuser_has_no_permissions_listed(bare: Bare) -> None:
    assert bare.call("session.get_rbac_permissions", bare.session) == []
    assert bare.call("session.get_is_local_superuser", bare.session) is True


def test_only_the_pool_admin_sees_all_sessions(bare: Bare) -> None:
    assert bare.session in bare.call("session.get_all")
    for name in ("session.get_all", "session.get_all_records"):
        assert bare.refused(name, bare.login("vm-admin"))[0] == "RBAC_PERMISSION_DENIED"


def test_a_method_goes_by_both_its_names(bare: Bare) -> None:
    assert bare.call("VDI_get_name_label", bare.vdi) == bare.call("VDI.get_name_label", bare.vdi) == "disk"


def test_all_methods_are_listed(bare: Bare) -> None:
    names = bare.call("host.list_methods")
    assert {"VDI.get_record", "session.login_with_password", "Async.host.restart_agent"} <= set(names)
    assert len(names) == len(set(names))
    answer = bare.calls.begin("system.listMethods", [])
    assert isinstance(answer, bytes)
    assert b"Status" not in answer


def test_listing_all_sessions_is_served_but_not_told_of(bare: Bare) -> None:
    assert bare.session in bare.call("session.get_all_records")
    names = set(bare.call("host.list_methods"))
    assert not {"session.get_all", "session.get_all_records", "session.get_all_records_where"} & names
    assert {"session.get_record", "task.get_all_records"} <= names


def test_calls_are_counted_by_session_even_when_refused(bare: Bare) -> None:
    uuid = bare.call("session.get_uuid", bare.session)
    bare.call("VDI.get_tags", bare.vdi)
    bare.refused("VDI.get_tags", bare.session, "no ref")
    bare.refused("VDI.get_tags", "no session", bare.vdi)
    assert bare.host.call_counts["VDI.get_tags"] == {uuid: 2}


def test_counts_of_old_sessions_make_room(bare: Bare) -> None:
    bare.host.call_counts["VDI.get_all"] = {str(n): 1 for n in range(SESSIONS_COUNTED)}
    bare.call("VDI.get_all")
    assert len(bare.host.call_counts["VDI.get_all"]) == SESSIONS_COUNTED


def sample(type_: Type, host: EmulatedHost) -> Value:
    """Make a value of a type that differs from the default."""
    match type_.kind:
        case Kind.SET if type_.item:
            return [sample(type_.item, host)]
        case Kind.MAP if type_.key and type_.item:
            return {sample(type_.key, host): sample(type_.item, host)}
        case Kind.REF:
            return next(host.db.all(type_.of), None) or host.db.add(type_.of)
        case Kind.BOOL:
            return True
        case Kind.INT:
            return 7
        case Kind.ENUM:
            return next(value for value in ENUMS[type_.of].values if value != ENUMS[type_.of].default)
    return "text"


def unmarshalled(value: Any) -> Any:
    return str(value) if type(value) is int else value


@pytest.mark.parametrize("cls", STORED)
def test_records_and_getters_agree_for_every_field(bare: Bare, cls: str) -> None:
    ref = next(bare.host.db.all(cls), None) or bare.host.db.add(cls)
    record = bare.call(f"{cls}.get_record", ref)
    assert list(record) == list(CLASSES[cls].fields)
    assert {name: bare.call(f"{cls}.get_{name}", ref) for name in record} == record
    assert bare.call(f"{cls}.get_all_records")[ref] == record
    assert ref in bare.call(f"{cls}.get_all")
    assert bare.call(f"{cls}.get_by_uuid", record["uuid"]) == ref
    assert bare.refused(f"{cls}.get_by_uuid", bare.session, "x") == ("UUID_INVALID", cls, "x")
    if "name_label" in record:
        assert ref in bare.call(f"{cls}.get_by_name_label", record["name_label"])


@pytest.mark.parametrize("cls", STORED)
def test_fields_can_be_set_where_the_reference_says_so(bare: Bare, cls: str) -> None:
    generated = accessors()
    for field in CLASSES[cls].fields.values():
        setter = f"{cls}.set_{field.name}"
        assert (setter in generated) is (field.access is Access.SETTABLE)
        if setter not in generated:
            continue
        ref, value = bare.host.db.add(cls), sample(field.type, bare.host)
        bare.call(setter, ref, unmarshalled(value))
        assert bare.call(f"{cls}.get_{field.name}", ref) == unmarshalled(value)


@pytest.mark.parametrize(
    ("cls", "field"),
    [
        (c.name, f.name)
        for c in CLASSES.values()
        for f in c.fields.values()
        if f.access is Access.SETTABLE and f.type.kind is Kind.MAP
    ],
)
def test_maps_grow_and_shrink_by_key(bare: Bare, cls: str, field: str) -> None:
    ref = bare.host.db.add(cls)
    key = "start" if field == "blocked_operations" else "k"
    bare.call(f"{cls}.add_to_{field}", ref, key, "v")
    assert bare.call(f"{cls}.get_{field}", ref) == {key: "v"}
    assert bare.refused(f"{cls}.add_to_{field}", bare.session, ref, key, "w") == (
        "MAP_DUPLICATE_KEY",
        cls,
        field,
        ref,
        key,
    )
    bare.call(f"{cls}.remove_from_{field}", ref, key)
    bare.call(f"{cls}.remove_from_{field}", ref, key)
    assert bare.call(f"{cls}.get_{field}", ref) == {}


def test_sets_grow_and_shrink_by_item(bare: Bare) -> None:
    for _ in range(2):
        bare.call("VDI.add_tags", bare.vdi, "a")
    bare.call("VDI.add_tags", bare.vdi, "b")
    assert bare.call("VDI.get_tags", bare.vdi) == ["a", "b"]
    bare.call("VDI.remove_tags", bare.vdi, "a")
    assert bare.call("VDI.get_tags", bare.vdi) == ["b"]


@pytest.mark.parametrize("given", ["5", 5, "-5", "9223372036854775807"])
def test_integers_come_as_strings_or_typed(bare: Bare, given: str | int) -> None:
    network = bare.host.db.add("network")
    bare.call("network.set_MTU", network, given)
    assert bare.call("network.get_MTU", network) == str(given)


@pytest.mark.parametrize(
    "given", ["", "x", "5.0", 5.0, True, None, " 5", "9223372036854775808", "\N{ARABIC-INDIC DIGIT FIVE}", "1" * 50]
)
def test_what_is_no_integer_is_refused(bare: Bare, given: Any) -> None:
    network = bare.host.db.add("network")
    assert bare.refused("network.set_MTU", bare.session, network, given) == ("FIELD_TYPE_ERROR", "value")


def test_a_record_argument_is_checked_and_completed(bare: Bare) -> None:
    ref = bare.call("network.create", {"name_label": "n", "MTU": "9000", "unheard_of": "ignored"})
    record = bare.call("network.get_record", ref)
    assert (record["name_label"], record["MTU"], record["tags"]) == ("n", "9000", [])
    assert bare.refused("network.create", bare.session, {"MTU": "large"}) == ("FIELD_TYPE_ERROR", "MTU")
    assert bare.refused("network.create", bare.session, "no record") == ("FIELD_TYPE_ERROR", "record")


def test_an_old_host_knows_nothing_of_changed_block_tracking() -> None:
    old = Bare(old_host=True)
    assert old.refused("VDI.get_cbt_enabled", old.session, old.vdi)[0] == "MESSAGE_METHOD_UNKNOWN"
    assert old.refused("network.add_purpose", old.session, "x", "nbd")[0] == "MESSAGE_METHOD_UNKNOWN"
    assert "cbt_enabled" not in old.call("VDI.get_record", old.vdi)
    assert "cbt_enabled" not in old.call("VDI.get_all_records")[old.vdi]
    assert not [name for name in old.host.method_names if "cbt" in name]
    assert old.call("host.get_API_version_minor", old.call("host.get_all")[0]) == "7"


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register a call that takes what came with changed block tracking, for one test."""

    def touch(_host: Any, _caller: Any, vdi: str, kind: str) -> str:
        return f"{vdi} {kind}"

    call = make(
        "VDI.probe",
        touch,
        role=Role.READ_ONLY,
        params=("VDI ref", "enum vdi_type"),
        result="string",
        documented_missing=True,
    )
    monkeypatch.setitem(METHODS, "VDI.probe", call)


@pytest.mark.usefixtures("probe")
def test_values_that_came_with_changed_block_tracking_are_unknown_to_an_old_host() -> None:
    old, new = Bare(old_host=True), Bare()
    assert new.call("VDI.probe", new.vdi, "cbt_metadata") == f"{new.vdi} cbt_metadata"
    assert old.refused("VDI.probe", old.session, old.vdi, "cbt_metadata")[0] == "VALUE_NOT_SUPPORTED"


@pytest.mark.usefixtures("probe")
def test_the_documented_profile_says_vdi_missing() -> None:
    real, documented = Bare(), Bare(profile=Profile.DOCUMENTED)
    assert real.refused("VDI.probe", real.session, "x", "user") == ("HANDLE_INVALID", "VDI", "x")
    assert documented.refused("VDI.probe", documented.session, "x", "user") == (
        "VDI_MISSING",
        "OpaqueRef:NULL",
        "x",
    )


def test_a_call_is_registered_once() -> None:
    with pytest.raises(ValueError, match="registered twice"):
        method("session.logout", role=None)(lambda _host, _caller: None)
    with pytest.raises(TypeError, match="parameter types"):
        make("VDI.x", lambda _host, _caller: None, role=None, params=("string",), result="void")


def test_logging_in_and_out(bare: Bare) -> None:
    assert bare.refused("session.login_with_password", "root", "wrong")[0] == "SESSION_AUTHENTICATION_FAILED"
    assert bare.refused("session.login_with_password", "nobody", PASSWORD)[0] == "SESSION_AUTHENTICATION_FAILED"
    session = bare.unbound("session.login_with_password", "vm-admin", PASSWORD, "1.0", "a backup")
    record = bare.unbound("session.get_record", session, session)
    assert (record["auth_user_name"], record["originator"]) == ("vm-admin", "a backup")
    assert bare.unbound("session.get_this_host", session, session) == bare.call("host.get_all")[0]
    bare.unbound("session.logout", session)
    assert bare.refused("VDI.get_all", session) == ("SESSION_INVALID", session)


def test_the_administrator_may_have_another_name() -> None:
    bare = Bare.__new__(Bare)
    bare.host = EmulatedHost(Options(password=PASSWORD, user="admin"))
    bare.calls = Calls(bare.host)
    assert bare.login("admin")
    assert bare.refused("session.login_with_password", "root", PASSWORD)[0] == "SESSION_AUTHENTICATION_FAILED"


def test_a_changed_password_counts_at_once(bare: Bare) -> None:
    bare.call("session.change_password", PASSWORD, "another")
    assert bare.refused("session.login_with_password", "root", PASSWORD)[0] == "SESSION_AUTHENTICATION_FAILED"
    assert bare.login("root", "another")


def test_the_oldest_session_makes_room() -> None:
    bare = Bare(limits=Limits(sessions=3))
    others = [bare.login("root") for _ in range(3)]
    assert bare.refused("VDI.get_all", bare.session) == ("SESSION_INVALID", bare.session)
    assert bare.unbound("VDI.get_all", others[0]) == [bare.vdi]
    assert bare.host.db.count("session") == 3


def test_the_host_says_that_it_is_emulated() -> None:
    for profile, brand in ((Profile.XAPI, "XenServer"), (Profile.DOCUMENTED, "xencbt documented")):
        bare = Bare(profile=profile)
        version = bare.call("host.get_software_version", bare.call("host.get_all")[0])
        assert (version["product_brand"], version["profile"]) == (brand, profile.value)
        assert version["emulated"].startswith("xencbt")


def test_tasks_of_clients(bare: Bare) -> None:
    task = bare.call("task.create", "mine", "words")
    assert bare.call("task.get_status", task) == "pending"
    bare.call("task.set_progress", task, 0.5)
    bare.call("task.set_result", task, "<value>x</value>")
    bare.call("task.set_error_info", task, ["A", "b"])
    bare.call("task.cancel", task)
    assert bare.call("task.get_status", task) == "cancelling"
    bare.call("task.set_status", task, "cancelled")
    record = bare.call("task.get_record", task)
    assert (record["progress"], record["result"], record["error_info"]) == (0.5, "<value>x</value>", ["A", "b"])
    assert record["finished"].value > record["created"].value[:4]
    assert bare.refused("task.cancel", bare.session, task)[0] == "OPERATION_NOT_ALLOWED"
    bare.call("task.destroy", task)
    assert bare.refused("task.get_status", bare.session, task) == ("HANDLE_INVALID", "task", task)


def test_messages(bare: Bare) -> None:
    uuid = bare.call("VDI.get_uuid", bare.vdi)
    message = bare.call("message.create", "NAME", "3", "VDI", uuid, "body")
    record = bare.call("message.get_record", message)
    assert (record["name"], record["priority"], record["cls"], record["obj_uuid"]) == ("NAME", "3", "VDI", uuid)
    stamp = record["timestamp"]
    assert bare.call("message.get", "VDI", uuid, EPOCH) == {message: record}
    assert bare.call("message.get", "VDI", "another", EPOCH) == {}
    assert bare.call("message.get_since", Timestamp(stamp.value)) == {message: record}
    assert bare.call("message.get_since", Timestamp("29991231T00:00:00Z")) == {}
    assert bare.refused("message.create", bare.session, "N", "3", "VDI", "x", "") == ("UUID_INVALID", "VDI", "x")
    bare.call("message.destroy", message)
    assert bare.call("message.get_all") == []


def test_purposes_of_networks_exclude_each_other(bare: Bare) -> None:
    first, second = bare.call("network.create", {}), bare.call("network.create", {})
    bare.call("network.add_purpose", first, "nbd")
    assert bare.refused("network.add_purpose", bare.session, second, "insecure_nbd") == (
        "NETWORK_INCOMPATIBLE_PURPOSES",
        "insecure_nbd",
        "nbd",
    )
    bare.call("network.remove_purpose", first, "nbd")
    bare.call("network.add_purpose", second, "insecure_nbd")
    assert bare.call("network.get_purpose", second) == ["insecure_nbd"]
