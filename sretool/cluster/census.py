"""Takes a census of etcd's keys: names in pages, and the sizes of a few values."""

from collections.abc import Mapping

from sretool.cluster.etcd_reader import EtcdReader
from sretool.knowledge.census import Census, Tally
from sretool.model import Known, Unknown

SAMPLE_BYTES = 32 << 20  # so much is read at most for an estimate; a single value has up to 1.5 MiB
SAMPLED_RESOURCES = 40


def take_census(etcd: EtcdReader, prefix: bytes = b"", *, sampled: bool, within_seconds: float) -> Census:
    """Count the keys under `prefix` and, when `sampled`, estimate their bytes.

    What is not read within `within_seconds` is left out, and the census says so. RemoteError when the member
    that is asked fails.
    """
    ends = etcd.now() + within_seconds
    tally, revision, unfinished = Tally(sampled=sampled), 0, ""
    for names, at_revision in etcd.keys.names(prefix):
        tally.add(names)
        revision = at_revision
        if etcd.now() >= ends:
            unfinished = f"stopped after {within_seconds:g} s, at {tally.keys} keys"
            break
    sizes = _sizes(etcd, tally.samples(), ends=ends + within_seconds) if sampled else None
    return tally.census(revision, sizes=sizes, unfinished=unfinished)


def _sizes(
    etcd: EtcdReader, samples: Mapping[str, tuple[bytes, ...]], *, ends: float
) -> dict[str, Known[int]]:
    """Return the mean size of a key with its value, for the largest resources."""
    sizes: dict[str, Known[int]] = {}
    budget = SAMPLE_BYTES
    for resource, keys in list(samples.items())[:SAMPLED_RESOURCES]:
        found = []
        for key in keys:
            if budget <= 0 or etcd.now() >= ends:
                break
            pair = etcd.keys.value(key)
            if pair is not None:
                found.append(len(pair.key) + len(pair.value))
                budget -= found[-1]
        sizes[resource] = sum(found) // len(found) if found else Unknown("no value was sampled")
    return sizes
