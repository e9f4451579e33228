"""Fleet: which processes are alive, what they have taken in, and who hosts whom."""
