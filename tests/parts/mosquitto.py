"""A real Mosquitto."""
