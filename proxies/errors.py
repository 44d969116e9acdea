"""What can go wrong with the interceptor itself, as opposed to the host behind it."""

from xencbt.harness.errors import HarnessError


class InterceptorError(HarnessError):
    """The interceptor could not start, serve, heal or stop: nothing can be said of the target."""
