"""Text messages by Twilio: options, the Messages API, and what Twilio posts to us."""
