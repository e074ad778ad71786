"""From a registered version to production: the functions that decide and record, and the workflow that asks them."""

from .stack import PromotionStack

__all__ = ["PromotionStack"]
