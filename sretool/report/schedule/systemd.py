"""A hardened systemd service and its timer."""

from pathlib import PurePath

from sretool.report.schedule.job import STATE_FOLDER, ScheduledJob

_HOMES = ("/home", "/root", "/run/user")


def render_service(job: ScheduledJob, *, program: str, config_home: str) -> str:
    """Return the unit `NAME.service`.

    `program` is the absolute path of sretool, `config_home` the folder that holds `sretool/clusters`.
    """
    access = job.entry.etcd
    paths = [one for one in (program, config_home, access.ca, access.cert, access.key) if one]
    in_home = any(PurePath(path).is_relative_to(home) for path in paths for home in _HOMES)
    return f"""\
# Written by `sretool schedule`: {job.summary}.
[Unit]
Description=sretool runbook {job.runbook} on {job.entry.cluster}
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
ExecStart={" ".join(_quoted(word) for word in job.command(program))}
Environment=XDG_STATE_HOME={PurePath(STATE_FOLDER).parent} {_quoted(f"XDG_CONFIG_HOME={config_home}")}
StateDirectory={PurePath(STATE_FOLDER).name}
StateDirectoryMode=0700
UMask=0077

# After this the run is asked to stop (SIGTERM), so that it has ended when the window ends. It finishes or
# observes the change in flight first, which may be a defragmentation; killing it earlier would not stop that.
TimeoutStartSec={job.longest_seconds}
TimeoutStopSec={job.grace_seconds}
KillMode=mixed
# 143: stopped by hand, after a clean journal. Every other code fails the unit: see `sretool --help`.
SuccessExitStatus=143
Restart=no

# It reads certificates that root alone may read, and writes its own folder.
ProtectSystem=strict
ProtectHome={"read-only" if in_home else "yes"}
NoNewPrivileges=yes
CapabilityBoundingSet=
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
"""


def render_timer(job: ScheduledJob) -> str:
    """Return the unit `NAME.timer`."""
    return f"""\
# Written by `sretool schedule`: inside the window {job.window}.
[Unit]
Description=sretool runbook {job.runbook} on {job.entry.cluster}, {job.window}

[Timer]
OnCalendar={job.window.calendar()}
# Several machines do not begin in the same second; the lock lets one of them work at a time.
RandomizedDelaySec={job.latest_start_seconds}
# A start that was missed is made up for. Outside of the window the run refuses to begin (exit 4).
Persistent=true
AccuracySec=1s

[Install]
WantedBy=timers.target
"""


def _quoted(word: str) -> str:
    """Return a word as unit files hold it: specifiers and variables are doubled, blanks quoted."""
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{plain}"' if any(one.isspace() for one in word) or plain != word or not word else plain
