"""Sessions: the state machine, hearing, turns, and the right to speak."""
