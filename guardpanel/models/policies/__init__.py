"""WAF policies: what they judge, limit and read, and what a mode and its choices result in."""
