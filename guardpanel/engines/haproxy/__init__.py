"""HAProxy: its binary and versions, what it says of a configuration, its command lines, and reloads."""
