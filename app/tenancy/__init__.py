"""Tenancy: who the tenants of an env are, and whether they still are."""
