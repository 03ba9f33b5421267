"""Processes: found, run with limits, kept running, waited for; their logs and this machine's resources."""
