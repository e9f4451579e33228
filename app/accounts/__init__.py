"""Who may log in to NATS besides the platform, and what such a login reaches.

`grants` says what a tenant's account may do, `login` and `logins` keep who has one, `included` and
`resolver` bring it into a server's force, in one form each, and `steward` keeps them current.
"""
