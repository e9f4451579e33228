"""What every e-mail provider shares: addresses, attachments, the arguments of its actions."""
