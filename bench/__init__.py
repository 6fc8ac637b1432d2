"""Speed of sretool against the tools of today, both in one interleaved run."""
