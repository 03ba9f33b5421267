"""What a virtual host does with requests once they have passed, and with what its servers answer."""
