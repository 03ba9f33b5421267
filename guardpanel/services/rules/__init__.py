"""The agent's rule set: search, plain language, and how often each rule fired."""
