"""The rules of the agent's rule set: searched, in plain words, and how often each fired."""
