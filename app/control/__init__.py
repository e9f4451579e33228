"""Control: the only room that creates, changes or deletes streams, consumers and buckets."""
