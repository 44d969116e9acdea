"""What stands between the harness and the host: the interceptor that carries out faults."""
