"""Builds what the tests start, once, before any test has a time limit: etcd of each version, the control plane."""  # noqa: INP001

import sys
import tempfile
from pathlib import Path

from sretool.errors import SretoolError
from sretool.lab import LabHome, LabSpec
from sretool.lab.binaries import require_binaries
from sretool.lab.kubernetes_binaries import require_kubernetes
from sretool.lab.spec import RELEASES


def tell(line: str) -> None:
    """Say on standard error what is being built."""
    sys.stderr.write(f"{line}\n")


def main() -> int:
    """Build what is not cached; say what cannot be built and go on: the tests that need it will say so too."""
    cache = LabHome.of_user().cache
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        for version in RELEASES:
            spec = LabSpec(version=version)
            try:
                require_binaries(spec, cache=cache, lab_dir=Path(scratch), progress=tell)
            except SretoolError as error:
                tell(f"etcd {version}: {error}")
                failed = 1
        try:
            require_kubernetes(cache=cache, lab_dir=Path(scratch), progress=tell)
        except SretoolError as error:
            tell(f"the control plane: {error}")
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
