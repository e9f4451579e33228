"""How senders prove who they are: one scheme of signature a file, and the catalogue of them.

Begin with `catalog.build_scheme`. Everything here works on the raw bytes of a request, before any
parse, and needs no more than the request, the secrets and the time.
"""
