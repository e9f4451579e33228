"""The last step before a nats-server: run as a script, it becomes the server.

In: ``PARENT_PID BINARY ARGUMENT…`` on the command line. Out: nothing; the process is replaced. It
first asks Linux to kill the process when the thread that forked it ends, unblocks every signal
(masks are inherited and survive exec) and makes new files private. Refuses to go on if its parent
is gone already. It imports nothing of ours, so that it starts in a few milliseconds.

Why a script and not ``preexec_fn``: Python code between fork and exec can dead-lock when other
threads hold locks, and the program has threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def become_server(arguments: list[str]) -> None:
    """Replace this process by ``BINARY ARGUMENT…``; parent 0 means: outlive the parent."""
    parent_pid, binary = int(arguments[0]), arguments[1]
    if parent_pid and sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent_pid:  # it ended before prctl: no signal will ever come
            sys.exit("the parent process is gone")
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.umask(0o077)
    os.execv(binary, arguments[1:])  # noqa: S606 - the whole point; no shell takes part


if __name__ == "__main__":
    become_server(sys.argv[1:])
