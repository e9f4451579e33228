"""The command line: the verbs of the documentation, one file per noun.

In: arguments and the caller's environment. Out: text for people, JSON with ``--json``, exit codes.
Refuses politely: every error is one sentence, a code and, where there is one, a way out.
"""
