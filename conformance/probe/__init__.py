"""The graph that is deployed on the target: its mini-language, its announcements, its gates.

``graph.py`` is one self-contained file (only ``langgraph`` and the standard library), so that it can
be copied into any LangGraph project. Nothing in the harness imports it.
"""
