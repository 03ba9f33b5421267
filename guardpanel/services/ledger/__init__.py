"""The ledger: every rule exclusion and rule override of all policies, and what each is good for today."""
