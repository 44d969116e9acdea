"""The calls of the API reference that matter here: what plans are checked against where no target can be asked."""

import re
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType

GENERIC = ("get_", "set_", "add_to_", "remove_from_")
"""How the calls begin that every class has for its fields."""

_TABLE = """
PBD: create destroy plug set_device_config unplug
PIF: plug unplug
SR: assert_can_host_ha_statefile assert_supports_database_replication create create_new_blob destroy
    disable_database_replication enable_database_replication forget forget_data_source_archives get_data_sources
    get_supported_types introduce make probe probe_ext query_data_source record_data_source scan
    set_name_description set_name_label set_physical_size set_shared update
VBD: assert_attachable create destroy eject insert plug set_mode unplug unplug_force
VDI: checksum clone copy create data_destroy destroy disable_cbt enable_cbt forget get_nbd_info introduce
    list_changed_blocks open_database pool_migrate read_database_pool_uuid resize resize_online set_allow_caching
    set_name_description set_name_label set_on_boot set_read_only set_sharable snapshot update
VM: assert_can_boot_here checkpoint clean_shutdown clone copy create destroy get_allowed_VBD_devices hard_reboot
    hard_shutdown migrate_send pause pool_migrate provision resume revert snapshot start suspend unpause
    update_allowed_operations
event: from get_current_id inject next register unregister
host: disable enable evacuate get_server_certificate get_servertime get_system_status_capabilities list_methods
    restart_agent
message: create destroy destroy_many get get_all get_all_records get_all_records_where get_by_uuid get_record
    get_since
network: add_purpose create create_new_blob destroy remove_purpose set_default_locking_mode
pool: get_license_state sync_database
session: change_password create_from_db_file get_all_subject_identifiers local_logout login_with_password logout
    logout_subject_identifier slave_local_login_with_password
system: listMethods
task: cancel create destroy set_error_info set_progress set_result set_status
"""

CALLS: Mapping[str, frozenset[str]] = MappingProxyType(
    {row[1]: frozenset(row[2].split()) for row in re.finditer(r"(?m)^(\w+): ((?:.|\n    )+)", _TABLE)}
)
"""The calls of each class that are not generic, from the public API reference."""


def means_a_call(pattern: str, methods: Collection[str] = ()) -> bool:
    """Tell whether a shell-style pattern of plain names means one of `methods`; where there are none, one of CALLS."""
    if methods:
        return any(fnmatchcase(method, pattern) for method in methods)
    cls, _, call = pattern.partition(".")
    of_class = [known for known in CALLS if fnmatchcase(known, cls)]
    if of_class and call.startswith(GENERIC):
        return True
    return pattern == "*" or any(fnmatchcase(word, call) for known in of_class for word in CALLS[known])
