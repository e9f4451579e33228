"""Who may log in to NATS besides the platform, and what such a login reaches.

`grants` says what a tenant's account may do; `login`, `logins` and `desk` keep who has one;
`included` and `resolver` bring that into a server's force, in one form each; `steward` keeps it so.
"""
