"""The webhook provider: any JSON posted to ``/events/webhook/{tenant}/{event_type}``.

In: options of ``answers.json`` and requests. Out: events with source ``webhook``. Refuses what is
not signed as configured.
"""
