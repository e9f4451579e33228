"""Deployments: which bundle a tenant runs, by immutable versions and one pointer."""
