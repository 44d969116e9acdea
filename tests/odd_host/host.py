"""The host: what it has from the start, who may call, and where each call goes."""

import time
from typing import Any

from tests.odd_host.disks import MIB, Disks
from tests.odd_host.habits import Habits
from tests.odd_host.machines import BlockDevices, Connections, Machines, Storages, Tasks
from tests.odd_host.records import Records, Refusal

DRIVERS: dict[str, dict[str, str]] = {
    "shelf": {"ODD_FEATURE": "9", "VDI_RESET_ON_BOOT": "2", "VDI_CONFIG_CBT": "1", "VDI_CREATE": "1"},
    "drawer": {"VDI_CREATE": "1"},
    "picture": {},
}
"""Features of the drivers, none of which is known by its name elsewhere."""

SRS: dict[str, tuple[str, str, int, bool]] = {
    "main": ("shelf", "plain", 8 * MIB, True),
    "file": ("shelf", "plain", 8 * MIB, True),
    "second": ("shelf", "plain", 8 * MIB, True),
    "unrounded": ("shelf", "plain", 1, True),
    "no-cbt": ("drawer", "plain", 8 * MIB, True),
    "read-only": ("shelf", "frozen", 8 * MIB, True),
    "full": ("shelf", "crammed", 8 * MIB, True),
    "no-pbd": ("shelf", "plain", 8 * MIB, False),
    "iso": ("picture", "iso", 8 * MIB, True),
}
"""Driver, condition, rounding of sizes, and whether a PBD connects it, by the kind that suites ask for."""

FURNISHED = ("read-only", "full", "no-pbd", "iso")

SLOW_S = 0.05

SOFTWARE = {"product_brand": "Odd Host", "product_version": "0.5", "build_number": "odd-1", "odd": "yes"}


class OddHost:
    """One host in memory. `call` is all there is: the server gives it what came over the wire."""

    def __init__(self, password: str, habits: Habits | None = None) -> None:
        self.habits = habits or Habits()
        self.records = records = Records(self.habits)
        self.disks = Disks(records)
        self._password = password
        self._calls: dict[str, object] = {
            "VDI": self.disks,
            "VM": Machines(records, self.disks),
            "VBD": BlockDevices(records),
            "PBD": Connections(records),
            "SR": Storages(records),
            "task": Tasks(records),
        }
        with records.lock:
            self.furnished: dict[str, str] = {}
            self.srs = self._furnish()

    def call(self, method: str, params: list[Any]) -> Any:
        """Make one call and return its value; raises Refusal."""
        self._take_time(method)
        with self.records.lock:
            if method == "session.login_with_password":
                return self._login(*params[:2])
            session, *rest = params or [""]
            self.check_session(session)
            return self._dispatch(session, method, rest)

    def check_session(self, session: str) -> None:
        """Refuse what is no session."""
        if session not in self.records.refs("session"):
            raise Refusal("SESSION_INVALID", session)

    def list_methods(self) -> list[str]:
        """Return the names of some calls; raises Refusal where the host does not tell."""
        if not self.habits.lists_methods:
            raise Refusal("MESSAGE_METHOD_UNKNOWN", "system.listMethods")
        return [*(f"VDI.{name}" for name in dir(self.disks) if not name.startswith("_")), "VDI.get_cbt_enabled"]

    def _dispatch(self, session: str, method: str, params: list[Any]) -> Any:
        cls, _, name = method.partition(".")
        match method, params:
            case "session.logout", []:
                self.records.remove("session", session)
                return ""
            case "event.from", [wanted, token, timeout]:
                return self.records.events_from(wanted, token, float(timeout))
            case "host.restart_agent", [_]:
                for ended in self.records.refs("session"):
                    self.records.remove("session", ended)
                return ""
        handler = getattr(self._calls.get(cls), name, None)
        return handler(*params) if handler is not None else self.records.generic(cls, name, params)

    def _login(self, user: str, password: str) -> str:
        if (user, password) != ("root", self._password):
            raise Refusal("SESSION_AUTHENTICATION_FAILED", user)
        return self.records.add("session", is_local_superuser=True, rbac_permissions=[], auth_user_name=user)

    def _take_time(self, method: str) -> None:
        with self.records.lock:
            random = self.records.random
            pause = random.uniform(0.001, 0.004) if random.randrange(self.habits.pause_every) == 0 else 0.0
        if pause or method in self.habits.slow:
            time.sleep(SLOW_S if method in self.habits.slow else pause)

    def _furnish(self) -> dict[str, str]:
        records = self.records
        host = records.add(
            "host",
            software_version=SOFTWARE,
            API_version_major="2",
            API_version_minor="21",
            license_params={"odd": "free"},
            enabled=True,
            other_config={},
        )
        records.add("pool", master=host, name_label="odd pool", restrictions={"restrict_odd": "true"}, other_config={})
        for driver, features in DRIVERS.items():
            records.add("SM", type=driver, features=features, name_label=f"The {driver} driver")
        uuids = {}
        for kind, (driver, condition, rounding, connected) in SRS.items():
            sr = records.add(
                "SR",
                type=driver,
                content_type=condition,
                name_label=f"odd {kind}",
                allowed_operations=["scan", "vdi_create"],
                current_operations={},
                physical_utilisation="12345",
                physical_size=str(2**42),
                other_config={"rounding": str(rounding)},
            )
            uuids[kind] = records.row("SR", sr)["uuid"]
            if connected:
                records.add("PBD", SR=sr, host=host, currently_attached=True, device_config={}, other_config={})
            if kind in FURNISHED:
                disk = self.disks.add(SR=sr, type="user", virtual_size=str(8 * MIB), other_config={})
                self.furnished[kind] = records.row("VDI", disk)["uuid"]
        return uuids
