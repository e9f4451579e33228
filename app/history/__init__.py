"""History: what became of runs, in a database and in counted windows, read from the stream."""
