"""The projection: run records of the streams become rows of the history.

In: the RUNS streams of an env, through Faust on `app.history.transport`. Out: rows in
`app.history.store`, acknowledged once they are written. Only processes with the history role import
`worker`: Faust takes a third of a second and 42 MB.
"""
