"""Execution: the only room that talks to a target. A program goes in, a history comes out."""
