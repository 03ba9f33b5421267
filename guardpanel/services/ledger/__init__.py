"""The ledger: every rule exclusion and rule override of all policies, and whether each is still useful."""
