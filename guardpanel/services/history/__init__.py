"""Earlier states: comparing and restoring them."""
