"""The configuration as a file: written, planned and applied, for all nouns alike."""
