"""The suite for pytest: ``pytest --pyargs conformance.suite --doubletext-url URL``."""
