"""Declarative, dry-run-safe runbooks for Kubernetes control planes and the etcd under them."""

__version__ = "0.1.0"
