"""The addresses of servers by name, and what HAProxy is told about servers before and between reloads."""
