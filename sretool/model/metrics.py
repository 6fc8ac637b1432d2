"""A page of Prometheus metrics as a value, and what two pages say of the time between them."""

import itertools
from collections.abc import Mapping

import msgspec

from sretool.model.known import Known, Unknown

PROCESS_START = "process_start_time_seconds"

MINIMUM_SAMPLES = 20
"""Fewer samples than this say nothing about a p99: one slow one decides it, and 20 fast ones are luck.

A slow disk makes few samples. Whoever must judge a small window takes `window(...)` and its `mean`.
"""


class Sample(msgspec.Struct, frozen=True):
    """One line of a page: its labels without the metric's name, and its value."""

    labels: Mapping[str, str]
    value: float

    def has(self, wanted: Mapping[str, str]) -> bool:
        """Tell whether the sample carries all of these labels."""
        return all(self.labels.get(name) == value for name, value in wanted.items())


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """Samples counted by size: `counts[i]` samples were at most `bounds[i]`; the last bound is infinity."""

    bounds: tuple[float, ...]
    counts: tuple[float, ...]
    sum: float

    @property
    def count(self) -> float:
        return self.counts[-1] if self.counts else 0.0

    @property
    def mean(self) -> Known[float]:
        return self.sum / self.count if self.count else Unknown("no samples")

    def quantile(self, q: float, *, minimum_samples: float = MINIMUM_SAMPLES) -> Known[float]:
        """Return the `q` quantile, unknown below `minimum_samples`.

        As Prometheus' histogram_quantile: linear inside a bucket; what lies above the last finite bound is
        told as that bound, so such an answer means «at least».
        """
        if self.count < minimum_samples:
            return Unknown(f"{self.count:g} samples, a p{100 * q:g} needs {minimum_samples:g}")
        rank = q * self.count
        lower_bound = lower_count = 0.0
        for bound, count in zip(self.bounds, self.counts, strict=True):
            if count >= rank and count > lower_count:
                if bound == float("inf"):
                    return lower_bound
                return lower_bound + (bound - lower_bound) * (rank - lower_count) / (count - lower_count)
            if bound != float("inf"):
                lower_bound = bound
            lower_count = count
        return lower_bound


class MetricsPage(msgspec.Struct, frozen=True):
    """One reading of a metrics page: every sample by the metric's name."""

    samples: Mapping[str, tuple[Sample, ...]]

    def series(self, name: str, **labels: str) -> tuple[Sample, ...]:
        """Return the samples of `name` that carry all of `labels`; empty when there is none."""
        return tuple(sample for sample in self.samples.get(name, ()) if sample.has(labels))

    def label_values(self, name: str, label: str) -> tuple[str, ...]:
        """Return the different values of one label of `name`, sorted: the peers of a round-trip time."""
        return tuple(sorted({sample.labels.get(label, "") for sample in self.samples.get(name, ())}))

    def value(self, name: str, **labels: str) -> Known[float]:
        """Return the one sample of `name` that carries all of `labels`; unknown when not exactly one does."""
        found = self.series(name, **labels)
        if len(found) != 1:
            return Unknown(f"{len(found) or 'no'} series of {_shown(name, labels)} on the metrics page")
        return found[0].value

    def sum(self, name: str, **labels: str) -> Known[float]:
        """Return the sum over all samples of `name` that carry `labels`; unknown when there is none."""
        found = self.series(name, **labels)
        if not found:
            return Unknown(f"no series of {_shown(name, labels)} on the metrics page")
        return sum(sample.value for sample in found)

    def histogram(self, name: str, **labels: str) -> Known[Histogram]:
        """Return the histogram of `name`, added up over all series that carry `labels`."""
        counts: dict[float, float] = {}
        for sample in self.series(f"{name}_bucket", **labels):
            bound = float(sample.labels.get("le", "nan"))
            counts[bound] = counts.get(bound, 0.0) + sample.value
        if float("inf") not in counts:
            return Unknown(f"no histogram {_shown(name, labels)} on the metrics page")
        bounds = tuple(sorted(counts))
        total = self.sum(f"{name}_sum", **labels)
        return Histogram(
            bounds=bounds,
            counts=tuple(counts[bound] for bound in bounds),
            sum=0.0 if isinstance(total, Unknown) else total,
        )


def value_of(page: Known[MetricsPage], name: str) -> Known[float]:
    """Return the value of `name`, or why the page it should stand on, or the value, could not be read."""
    return page if isinstance(page, Unknown) else page.value(name)


def increase(later: MetricsPage, earlier: MetricsPage, name: str, **labels: str) -> Known[float]:
    """Return by how much the counter `name` (its series added up) grew between two pages.

    Unknown when the process restarted in between or the counter went backwards.
    """
    if restarted := _restarted(later, earlier):
        return restarted
    after, before = later.sum(name, **labels), earlier.sum(name, **labels)
    if isinstance(after, Unknown):
        return after
    # A series that appeared in between began at 0: the process is the same.
    grown = after - (0.0 if isinstance(before, Unknown) else before)
    return grown if grown >= 0 else Unknown(f"{_shown(name, labels)} went backwards")


def window(later: MetricsPage, earlier: MetricsPage, name: str, **labels: str) -> Known[Histogram]:
    """Return the histogram of what was counted between two pages, under the conditions of `increase`."""
    if restarted := _restarted(later, earlier):
        return restarted
    after, before = later.histogram(name, **labels), earlier.histogram(name, **labels)
    if isinstance(after, Unknown):
        return after
    if isinstance(before, Unknown):
        return after
    if after.bounds != before.bounds:
        return Unknown(f"the buckets of {_shown(name, labels)} changed")
    counts = tuple(now - then for now, then in zip(after.counts, before.counts, strict=True))
    if counts[0] < 0 or any(more < fewer for fewer, more in itertools.pairwise(counts)):
        return Unknown(f"{_shown(name, labels)} went backwards")
    return Histogram(bounds=after.bounds, counts=counts, sum=after.sum - before.sum)


def _restarted(later: MetricsPage, earlier: MetricsPage) -> Unknown | None:
    after, before = later.value(PROCESS_START), earlier.value(PROCESS_START)
    if isinstance(after, Unknown) or isinstance(before, Unknown):
        return Unknown(f"{PROCESS_START} is missing: the process may have restarted in between")
    return Unknown("the process restarted between the two readings") if after != before else None


def _shown(name: str, labels: Mapping[str, str]) -> str:
    inside = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return f"{name}{{{inside}}}" if inside else name
