"""placeholder"""

from xencbt.harness.witness.bundles import Bundle


def xe_script(bundle: Bundle) -> str:
    return ""
