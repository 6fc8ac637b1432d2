"""The names of the metrics that more than one place reads, as they stand on etcd's page."""

WAL_FSYNC = "etcd_disk_wal_fsync_duration_seconds"
DB_SIZE = "etcd_mvcc_db_total_size_in_bytes"
QUOTA = "etcd_server_quota_backend_bytes"

DEFRAG_INFLIGHT = "etcd_disk_defrag_inflight"  # since 3.4.18 and 3.5.0
DEFRAG_COUNT = "etcd_disk_backend_defrag_duration_seconds_count"
DEFRAG_SECONDS = "etcd_disk_backend_defrag_duration_seconds_sum"

COMPACT_REVISION = "etcd_debugging_mvcc_compact_revision"
COMPACTION_LAST = "etcd_debugging_mvcc_db_compaction_last"
COMPACTIONS_BEGUN = "etcd_debugging_mvcc_index_compaction_pause_duration_milliseconds_count"
COMPACTIONS_FINISHED = "etcd_debugging_mvcc_db_compaction_total_duration_milliseconds_count"
COMPACTION_BATCHES = "etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds_count"
