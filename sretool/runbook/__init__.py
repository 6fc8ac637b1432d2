"""Runbooks: their model, the loader that finds every problem of a file, conditions, the folders they live in."""
