"""Witnesses: the shortest list of calls and faults that shows a failure, as data in a closed vocabulary; all pure.

A trace is what a test did, in references; deriving turns it into steps over objects by alias; a check says what the
last step has to give, and what it gave. `xencbt.harness.replaying` carries steps out.
"""
