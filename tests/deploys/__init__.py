"""Deploys under load: a tenant's flows change a hundred times while its events flow."""
