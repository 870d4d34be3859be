"""Checks of the flake: what can be said by reading, by evaluating, and by building with the host's tools."""
