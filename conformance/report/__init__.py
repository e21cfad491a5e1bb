"""Reports: listeners to the engine's events. Each writes one form; none knows the others."""
