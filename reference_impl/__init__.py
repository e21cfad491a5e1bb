"""A small reference server for double texting, that speaks the LangGraph Agent Server API.

Where to start reading: :mod:`reference_impl.multitask`, the four strategies side by side. Around it:

=================  ==================================================================================
``storage``        threads and runs, in memory
``checkpoints``    the checkpoint saver, with the fence that keeps displaced runs from writing
``worker``         executes runs: real graphs, with the open-source ``langgraph`` library
``streams``        what a run tells while it executes, kept for every reader
``routes/``        the HTTP resources, one file each
``app``            puts it together: :func:`reference_impl.app.create_app`
``defects/``       deliberate bugs, each one decision changed from outside
=================  ==================================================================================
"""

VERSION = "0.1.0"
