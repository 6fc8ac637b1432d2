"""What a machine may lack; `make test` as root installs it, and names the tests that were skipped without it."""

import os
import shutil

import pytest

_PATH = f"{os.environ['PATH']}:/usr/sbin"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
needs_nft = pytest.mark.skipif(shutil.which("nft", path=_PATH) is None, reason="needs nft (nftables)")
