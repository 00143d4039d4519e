"""The HTTP face of the house. `server` serves it, `api` is what it says; neither is imported before it is needed."""
