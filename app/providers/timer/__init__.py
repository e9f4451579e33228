"""The timer provider: the zone of cron triggers. Its events are made by the tenants' schedulers."""
