"""Tenants: each one's supervised tree of ingress, scheduler, router and flow executors."""
