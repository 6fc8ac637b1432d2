"""What a scheduler is given: a runbook, unattended, inside a maintenance window. Pure templates."""

from sretool.report.schedule.cronjob import render_cronjob, render_dockerfile
from sretool.report.schedule.job import ScheduledJob
from sretool.report.schedule.systemd import render_service, render_timer

__all__ = ["ScheduledJob", "render_cronjob", "render_dockerfile", "render_service", "render_timer"]
