"""Who may come: bans, contents of address lists, why an address is refused, and who must not be locked out."""
