"""The verbs of each noun: plain async functions that views and API call."""
