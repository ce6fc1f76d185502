"""One input's life: what its search asks, what is known, what it may still ask, what it explains. NumPy only."""
