"""Checks of the contracts: each raises AssertionError with a sentence that names the promise that is broken."""
