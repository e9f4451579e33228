"""Stand-ins on loopback for the services that providers use: SendGrid, Twilio, an SMTP server.

In: what providers send, and what a developer says that somebody else sends. Out: an outbox of what
was sent, requests to our own ingress as the real services would post them. For development only:
nothing leaves this machine. Begin with `emulators.Emulators`.
"""
