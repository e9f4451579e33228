"""The world around the core: HTTP, NATS, bundles on disk, settings, logs and the command line.

In: requests, files, messages of the bus. Out: the core's own values, through the ports of
``actors.ports``. Nothing below imports this package (DESIGN 7).
"""
