"""A second host, written from the documentation alone and as unlike the project's emulated host as that allows.

It exists to show that the suites judge a host by what is documented, not by the habits of the host they grew up with.
It shares no line with any other part of the project.
"""
