"""SMTP: mails out by any mail server."""
