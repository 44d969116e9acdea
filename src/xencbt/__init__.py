"""xencbt: conformance and fault-injection harness for XenServer's changed block tracking."""
