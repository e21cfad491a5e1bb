"""The requirements, one file per strategy or theme, in the order of the specification."""

from conformance.requirements import reject, enqueue, interrupt, rollback, displaced, threads, runs, checkpoints  # noqa: F401, I001
from conformance.requirements.base import REGISTRY, Level, Requirement

__all__ = ["REGISTRY", "Level", "Requirement"]
