"""The desk at which tenants' dead letters are looked through, redriven and discarded."""
