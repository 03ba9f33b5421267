"""Addresses that may or may not come: lists of networks, as they are pasted, stored and rendered."""
