"""The fault suite: real processes are killed, frozen, starved and lied to while events flow.

`run` is the way in (`python -m tests.faults.run`, `make test-faults`); docs/faults.md tells what is
injected and what is checked.
"""
