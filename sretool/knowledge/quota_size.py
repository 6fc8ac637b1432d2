"""How large a member lets its database become: the quota by which NOSPACE is judged."""

from sretool.knowledge.metric_names import QUOTA
from sretool.knowledge.versions import QUOTA_IN_STATUS, parse_version
from sretool.model import EndpointStatus, Known, MetricsPage, Unknown, value_of


def quota_of(status: Known[EndpointStatus], page: Known[MetricsPage]) -> Known[int]:
    """Return a member's quota in bytes: from Status where that is right (3.6.6 on), else from its metrics."""
    if not isinstance(status, Unknown):
        version = parse_version(status.version)
        if status.quota_bytes and version and version >= QUOTA_IN_STATUS:
            return status.quota_bytes
    value = value_of(page, QUOTA)
    return value if isinstance(value, Unknown) else int(value)
