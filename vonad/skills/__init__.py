"""Skills at work: the catalogue of those that run, and the desk that runs them for a turn."""
