"""Faults in a lab's real servers, each with its own undo."""

from sretool.lab.faults.catalogue import FAULTS, Fault, raise_fault, undo_fault
from sretool.lab.faults.options import FaultOptions

__all__ = ["FAULTS", "Fault", "FaultOptions", "raise_fault", "undo_fault"]
