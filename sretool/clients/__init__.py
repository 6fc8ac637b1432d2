"""Clients of etcd, Kubernetes, hosts and metrics: typed, with deadlines, raising only our errors."""
