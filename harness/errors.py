"""What ends a run before it could judge anything. Verdicts of single tests live in `verdicts`."""


class XencbtError(Exception):
    """Base of everything the harness raises on purpose, outside a test's verdict."""


class UsageError(XencbtError):
    """The user asked for something that cannot be done as asked: exit code 3."""


class TargetUnreachable(XencbtError):
    """The target was never reached, or refused the credentials: exit code 4."""


class HarnessError(XencbtError):
    """The harness or the lab broke, so nothing can be said of the target: verdict `error`, exit code 4."""


class NeverCameBack(HarnessError):
    """The target stopped serving and did not serve again by the recovery deadline."""
