"""The parser against prometheus_client's, and what two pages say of the time between them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from sretool.clients.metrics import parse_metrics
from sretool.model import Known, MetricsPage, Unknown, increase, window

_NAME = "disk_seconds"


def _oracle(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(text)
    return {
        (one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples
    }


def _ours(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    page = parse_metrics(text)
    return {
        (name, frozenset(one.labels.items())): one.value
        for name, found in page.samples.items()
        for one in found
    }


@given(
    st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r")), st.floats()),
        max_size=8,
    )
)
def test_labels_and_values_are_read_as_prometheus_reads_them(samples: list[tuple[str, float]]) -> None:
    registry = CollectorRegistry()
    gauge = Gauge("g", "a gauge", ["label", "other"], registry=registry)
    for label, value in samples:
        gauge.labels(label, 'a "quoted" {brace}, \\ and \n').set(value)
    text = generate_latest(registry).decode()
    expected, found = _oracle(text), _ours(text)
    assert expected.keys() == found.keys()
    for key, value in expected.items():
        assert found[key] == value or (math.isnan(found[key]) and math.isnan(value))


@pytest.mark.parametrize(
    "line",
    [
        'a{b="c"} 1',
        'a{b="c",} 1',
        "a 1 1700000000000",
        "a +Inf",
        "a -Inf",
        "a 1e-9",
        'a{ b = "c" } 2',
        "a{} 3",
    ],
)
def test_odd_but_valid_lines_are_read(line: str) -> None:
    assert _ours(line) == _oracle(f"{line}\n")


@pytest.mark.parametrize("line", ["", "# HELP a b", "a", "a{b=}", 'a{b="c} 1', "1a 2", "a x", "<html>"])
def test_lines_that_are_no_samples_are_left_out(line: str) -> None:
    assert parse_metrics(f"{line}\nup 1\n").samples.keys() == {"up"}


def test_a_line_that_never_closes_its_labels_is_given_up_at_once() -> None:
    assert parse_metrics("a{" + 'b="c",' * 50_000).samples == {}


class _Process:
    """Metrics of a process that can restart."""

    def __init__(self, start: float) -> None:
        self.registry = CollectorRegistry()
        Gauge("process_start_time_seconds", "start", registry=self.registry).set(start)
        self.counter = Counter("writes", "writes", ["kind"], registry=self.registry)
        self.seconds = Histogram(_NAME, "d", ["to"], buckets=(0.01, 0.1, 1.0), registry=self.registry)

    def page(self) -> MetricsPage:
        return parse_metrics(generate_latest(self.registry).decode())


def _observed(*values: float) -> tuple[MetricsPage, MetricsPage]:
    process = _Process(1000.0)
    process.seconds.labels("m2").observe(5.0)
    earlier = process.page()
    for value in values:
        process.seconds.labels("m2").observe(value)
    return process.page(), earlier


def _quantile(later: MetricsPage, earlier: MetricsPage, q: float, **labels: str) -> Known[float]:
    counted = window(later, earlier, _NAME, **labels)
    return counted if isinstance(counted, Unknown) else counted.quantile(q)


def test_a_quantile_is_of_the_window_alone() -> None:
    later, earlier = _observed(*[0.05] * 100)
    found = _quantile(later, earlier, 0.99, to="m2")
    assert found == pytest.approx(0.01 + 0.09 * 0.99)


def test_a_quantile_above_the_last_bound_is_told_as_that_bound() -> None:
    later, earlier = _observed(*[7.0] * 100)
    assert _quantile(later, earlier, 0.99) == 1.0


def test_a_quantile_skips_empty_buckets() -> None:
    later, earlier = _observed(*[0.5] * 100)
    assert _quantile(later, earlier, 0.5) == pytest.approx(0.1 + 0.9 * 0.5)


@pytest.mark.parametrize(("samples", "known"), [(0, False), (19, False), (20, True)])
def test_too_few_samples_are_unknown_and_not_good(samples: int, known: bool) -> None:
    later, earlier = _observed(*[0.001] * samples)
    found = _quantile(later, earlier, 0.99)
    assert isinstance(found, Unknown) is not known
    if not known:
        assert found == Unknown(f"{samples} samples, a p99 needs 20")


def test_a_small_window_still_has_a_mean() -> None:
    later, earlier = _observed(0.5, 0.7)
    found = window(later, earlier, _NAME)
    assert not isinstance(found, Unknown)
    assert (found.count, found.mean) == (2, pytest.approx(0.6))


def test_an_empty_window_has_no_mean() -> None:
    later, earlier = _observed()
    found = window(later, earlier, _NAME)
    assert not isinstance(found, Unknown)
    assert found.mean == Unknown("no samples")


def test_series_are_added_up_unless_labels_choose_one() -> None:
    process = _Process(1.0)
    earlier = process.page()
    process.seconds.labels("m2").observe(0.005)
    process.seconds.labels("m3").observe(0.5)
    later = process.page()
    both, one = window(later, earlier, _NAME), window(later, earlier, _NAME, to="m3")
    assert not isinstance(both, Unknown)
    assert not isinstance(one, Unknown)
    assert (both.count, one.count) == (2, 1)
    assert later.label_values(f"{_NAME}_count", "to") == ("m2", "m3")


def test_after_a_restart_nothing_is_known_of_the_window() -> None:
    before, after = _Process(1000.0), _Process(2000.0)
    for process in (before, after):
        process.counter.labels("put").inc(5)
        process.seconds.labels("m2").observe(1)
    restarted = Unknown("the process restarted between the two readings")
    assert increase(after.page(), before.page(), "writes_total") == restarted
    assert _quantile(after.page(), before.page(), 0.99) == restarted


def test_a_counter_that_goes_backwards_is_unknown() -> None:
    before, after = _Process(1000.0), _Process(1000.0)
    before.counter.labels("put").inc(5)
    before.seconds.labels("m2").observe(0.001)
    after.seconds.labels("m2").observe(5.0)
    after.counter.labels("put").inc(4)
    assert increase(after.page(), before.page(), "writes_total") == Unknown("writes_total went backwards")
    assert isinstance(window(after.page(), before.page(), _NAME), Unknown)


def test_a_counter_grows_by_the_difference_and_from_zero_when_it_is_new() -> None:
    process = _Process(1.0)
    empty = process.page()
    process.counter.labels("put").inc(5)
    first = process.page()
    process.counter.labels("put").inc(2)
    process.counter.labels("delete").inc(1)
    assert increase(first, empty, "writes_total") == 5
    assert increase(process.page(), first, "writes_total") == 3
    assert increase(process.page(), first, "writes_total", kind="put") == 2


def test_a_value_is_known_when_exactly_one_series_has_it() -> None:
    page = parse_metrics('a{b="1",c="x"} 1\na{b="2",c="x"} 2\n')
    assert page.value("a", b="2") == 2
    assert page.sum("a", c="x") == 3
    assert page.value("a") == Unknown("2 series of a on the metrics page")
    assert page.value("a", b="3") == Unknown('no series of a{b="3"} on the metrics page')
    assert page.sum("z") == Unknown("no series of z on the metrics page")
    assert page.histogram("a") == Unknown("no histogram a on the metrics page")
