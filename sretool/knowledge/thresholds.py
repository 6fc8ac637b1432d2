"""The numbers behind the latency verdicts, each with its source. «ours»: no source exists, so we measured.

FAQ is etcd's (etcd.io/docs/v3.6/faq), mixin is etcd's alert rules (contrib/mixin), kube-burner its etcd alerts.
"""

# Disk. Seconds.
FSYNC_NOTE_SECONDS = 0.010  # FAQ: WAL fsync p99 should be less than 10 ms
FSYNC_SLOW_SECONDS = 0.064  # ours: a bucket bound between FAQ's 10 ms and the mixin's warning at 500 ms
FSYNC_CRITICAL_SECONDS = 0.5  # mixin etcdHighFsyncDurations
COMMIT_SLOW_SECONDS = 0.25  # mixin etcdHighCommitDurations
MEDIAN_SAMPLES = 3  # ours: so many suffice for a median; a p99 needs `model.MINIMUM_SAMPLES`
FSYNC_BUSY_SHARE = 0.5  # ours: of the window, in few fsyncs; one long fsync alone is a hiccup
COMMITS_MISSED = 3  # ours: that others made while a member made no fsync; fewer fit between two scrapes

# Reads. Seconds.
READ_SLOW_SECONDS = 0.1  # etcd's own warning threshold (--warning-apply-duration); a good one takes 1 to 5 ms
READS_SLOW_SHARE = 0.2  # ours: 30 % packet loss slows every second read and a busy machine every 50th
READS_SLOW_AT_LEAST = 2  # ours: one slow read is a hiccup
READS_ENOUGH = 5  # ours: fewer good reads do not show that a path is good

# Network. Seconds.
RTT_SLOW_SECONDS = 0.1  # kube-burner: p99 above 0.1 s; mixin warns at 0.15 s
RTT_GOOD_SECONDS = 0.025  # ours: what is clearly not slow; between regions it is 10 to 20 ms

# Load.
CPU_STARVED_SHARE = 0.85  # ours, of the cores that Go may use (GOMAXPROCS)
APPLY_SLOW_SECONDS = 0.1  # --warning-apply-duration's default
PENDING_PROPOSALS = 5  # ours: more at both ends of the window; etcd's docs only say «increasing»
LIST_BYTES_PER_SECOND = 20 << 20  # ours: what a busy healthy Kubernetes etcd sends is below a tenth of it
LIST_BYTES_PER_READ = 100 << 10  # ours: a read of one object has 1 to 10 KB
WRITES_PER_SECOND = 500  # ours: a healthy cluster of 1,000 nodes makes 100 to 200
WATCHERS = 10_000  # ours: resources by API servers is a few hundred
