"""Promotions with faults from recorded seeds: nothing may be lost, nor served that no gate let through."""
