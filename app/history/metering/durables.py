"""The name of metering's consumer on each stream of run records.

In: nothing. Out: a name, for whoever asks how far metering is, without importing Faust.
"""

from typing import Final

DURABLE: Final = "usage"
