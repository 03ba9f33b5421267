"""Address lists and bans."""
