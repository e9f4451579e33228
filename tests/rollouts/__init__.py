"""Deploys under load: what is applied and rolled back while events flow, and a judge of it.

`python -m tests.deploys.run` says what was promised and is not so (docs/deployments.md).
"""
