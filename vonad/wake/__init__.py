"""Wakes: who may open a microphone, and when."""
