"""What stands between the harness and the host: the interceptor that carries out faults."""

from xencbt.proxies.errors import InterceptorError
from xencbt.proxies.interceptor import Armed, Interceptor

__all__ = ["Armed", "Interceptor", "InterceptorError"]
