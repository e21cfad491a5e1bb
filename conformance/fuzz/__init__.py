"""The fuzzer: from a URL to minimal, replayable findings.

``grammar`` makes programs, ``campaign`` executes and judges them, ``findings`` keeps what they find, ``shrinking``
makes it small, ``replay`` runs it again. A program of the fuzzer is the same value as a hand-written one, and its
history is judged by the same oracles and the same model.
"""
