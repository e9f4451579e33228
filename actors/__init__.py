"""The asynchronous core of greentic-events: actors, flows, nodes and runs.

It knows no socket, file, HTTP or NATS client: the world comes in through `actors.ports`. Deleting
``app`` leaves this package and its tests whole.
"""
