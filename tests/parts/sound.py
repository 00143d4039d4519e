"""A real sound server, without a sound card."""
