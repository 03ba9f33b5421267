"""ACME (RFC 8555), without a database: an authority's client, an order as a state machine, its proofs, and when to renew."""
