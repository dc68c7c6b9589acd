"""Arrow columns to flat NumPy arrays: one call per column per batch, never per row."""
