"""Stands in for xe in tests: as many of its commands as the scripts of bundles give, over the official binding."""

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import XenAPI

NULL = "OpaqueRef:NULL"
Parameters = Mapping[str, str]


class Shim:
    def __init__(self) -> None:
        session = XenAPI.Session(os.environ["SHIM_URL"])
        session.xenapi.login_with_password("root", os.environ["SHIM_PASSWORD"], "1.0", "xe")
        self.api = session.xenapi

    def vdi(self, given: Parameters, name: str = "uuid") -> str:
        return str(self.api.VDI.get_by_uuid(given[name]))

    def vdi_create(self, given: Parameters) -> str:
        sm_config = {name.partition(":")[2]: value for name, value in given.items() if name.startswith("sm-config:")}
        record = {
            "name_label": given["name-label"],
            "name_description": "",
            "SR": self.api.SR.get_by_uuid(given["sr-uuid"]),
            "virtual_size": given["virtual-size"],
            "type": given["type"],
            "sharable": False,
            "read_only": False,
            "other_config": {},
            "xenstore_data": {},
            "sm_config": sm_config,
            "tags": [],
        }
        return str(self.api.VDI.get_uuid(self.api.VDI.create(record)))

    def vdi_snapshot(self, given: Parameters) -> str:
        return str(self.api.VDI.get_uuid(self.api.VDI.snapshot(self.vdi(given), {})))

    def vdi_clone(self, given: Parameters) -> str:
        return str(self.api.VDI.get_uuid(self.api.VDI.clone(self.vdi(given), {})))

    def vdi_enable_cbt(self, given: Parameters) -> None:
        self.api.VDI.enable_cbt(self.vdi(given))

    def vdi_disable_cbt(self, given: Parameters) -> None:
        self.api.VDI.disable_cbt(self.vdi(given))

    def vdi_data_destroy(self, given: Parameters) -> None:
        self.api.VDI.data_destroy(self.vdi(given))

    def vdi_destroy(self, given: Parameters) -> None:
        self.api.VDI.destroy(self.vdi(given))

    def vdi_resize(self, given: Parameters) -> None:
        self.api.VDI.resize(self.vdi(given), given["disk-size"])

    def vdi_param_set(self, given: Parameters) -> None:
        self.api.VDI.set_on_boot(self.vdi(given), given["on-boot"])

    def vdi_param_get(self, given: Parameters) -> str:
        value = self.api.VDI.get_record(self.vdi(given))[given["param-name"].replace("-", "_")]
        return str(value).lower() if isinstance(value, bool) else str(value)

    def vdi_list_changed_blocks(self, given: Parameters) -> str:
        earlier, later = self.vdi(given, "vdi-from-uuid"), self.vdi(given, "vdi-to-uuid")
        return str(self.api.VDI.list_changed_blocks(earlier, later))


def main(words: list[str]) -> int:
    given = dict(word.partition("=")[::2] for word in words[1:])
    command: Callable[[Parameters], Any] = getattr(Shim(), words[0].replace("-", "_"))
    try:
        printed = command(given)
    except XenAPI.Failure as failure:
        code, *parameters = failure.details
        print(f"Error code: {code}\nError parameters: {', '.join(parameters)}", file=sys.stderr)
        return 1
    if printed is not None:
        print(printed)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
