"""Requests that are tried on a policy, written, pasted or recorded."""
