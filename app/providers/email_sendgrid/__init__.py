"""SendGrid: mails out by its v3 API, its events and parsed mails in."""
