"""What outlives a message: flow state and other records in key-value buckets on JetStream."""
