"""The ``nats://`` transport of faust-streaming: Faust's topics and tables on NATS JetStream.

In: ``faust.App("x", broker="nats://host:4222")``; Faust finds the driver by its entry point. Out:
topics as streams, groups as shared durable consumers, tables with changelogs that are recovered.
Refuses what JetStream cannot give: transactions and partitions. It knows nothing of the rest of
this project, so that it could be a package of its own.
"""
