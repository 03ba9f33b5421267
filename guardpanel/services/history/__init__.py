"""What was: earlier states, how two differ, and how one comes back."""
