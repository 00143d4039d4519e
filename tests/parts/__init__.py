"""Real parts for tests: a broker, a sound server."""
