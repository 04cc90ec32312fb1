"""Runs beside each other: what differs in them, which is better, and whether that may be chance."""
