"""The demonstration: the whole wheel turning on handwritten digits, with simulated users."""

from volant.testing.demo.story import demo
from volant.testing.demo.told import DemoResult, Poisoned, RolledBack, Round

__all__ = ["DemoResult", "Poisoned", "RolledBack", "Round", "demo"]
