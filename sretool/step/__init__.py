"""What a step author reads: the contract and the units."""

from sretool.step.contract import AnyStep, Catalogue, Step
from sretool.step.units import Duration, Percent, Quantity

__all__ = ["AnyStep", "Catalogue", "Duration", "Percent", "Quantity", "Step"]
