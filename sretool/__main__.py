"""`python -m sretool`: the same as `sretool`."""

from sretool.cli import main

main()
