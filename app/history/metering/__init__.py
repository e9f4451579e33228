"""Usage metering: what each flow of each tenant has used, hour by hour.

In: the run records of the RUNS streams. Out: windows of an hour, exact to the unit whatever dies
meanwhile, read through the API, the CLI and Prometheus. Refuses nothing: limits are enforced where
the work happens, this only tells.

    durations   how long runs took, in buckets that grow; percentiles
    records     records of a message, as far as they are counted
    usage       what is counted
    windows     a window: its place, its value, and up to where it has counted
    repeats     records that were stored twice
    folding     a message counted into windows
    reading     windows as any process reads them
    table       the Faust table; the only module here that needs Faust
"""
