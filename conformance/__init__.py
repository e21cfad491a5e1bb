"""Doubletext: a conformance suite and fuzzer for double texting on Agent Server API servers."""

__version__ = "0.1.0"
