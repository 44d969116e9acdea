"""placeholder"""

from xencbt.harness.witness.bundles import Bundle


def python_script(bundle: Bundle) -> str:
    return ""
