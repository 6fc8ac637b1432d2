"""What is true of every etcd: arithmetic, thresholds, verdicts, guards, hazards. Pure: no reads, no clock."""
