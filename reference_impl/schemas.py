"""Request bodies of the API: what is accepted is what ``/openapi.json`` says, everything else is a 422.

Unknown fields are ignored, as the Agent Server does, so that newer clients work.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from .storage import RunSpec, Strategy, ThreadStatus

Object = dict[str, Any]
Limit = Annotated[int, Field(ge=1, le=1000)]
Offset = Annotated[int, Field(ge=0)]
StreamMode = Literal["values", "updates", "messages", "messages-tuple", "custom", "tasks", "checkpoints", "debug"]
Nodes = Literal["*"] | list[str] | None

TEN_YEARS = 10 * 365 * 24 * 3600.0


class Send(BaseModel):
    node: str
    input: Any = None


class CommandBody(BaseModel):
    """LangGraph's ``Command``: resume after an ``interrupt()``, update the state, go to nodes."""

    update: Object | list[tuple[str, Any]] | None = None
    resume: Any = None
    goto: str | Send | list[str | Send] | None = None


class CheckpointBody(BaseModel):
    checkpoint_id: str | None = None
    checkpoint_ns: str | None = None


class ConfigBody(BaseModel):
    tags: list[str] = []
    recursion_limit: Annotated[int, Field(ge=1)] | None = None
    configurable: Object = {}
    metadata: Object = {}


class RunCreate(BaseModel):
    """Body of every endpoint that creates a run on a thread."""

    assistant_id: str
    input: Object | list[Any] | None = None
    command: CommandBody | None = None
    config: ConfigBody | None = None
    context: Object | None = None
    metadata: Object | None = None
    multitask_strategy: Strategy = Strategy.ENQUEUE
    stream_mode: StreamMode | list[StreamMode] = "values"
    stream_subgraphs: bool = False
    interrupt_before: Nodes = None
    interrupt_after: Nodes = None
    checkpoint: CheckpointBody | None = None
    checkpoint_id: str | None = None
    if_not_exists: Literal["create", "reject"] = "reject"
    on_disconnect: Literal["cancel", "continue"] = "continue"
    webhook: Annotated[str, Field(pattern=r"^https?://", max_length=2000)] | None = None
    after_seconds: Annotated[float, Field(strict=True, ge=0, le=TEN_YEARS)] = 0.0

    def spec(self, assistant_id: str, graph_id: str) -> RunSpec:
        """The same, as the rest of the server knows it."""
        modes = [self.stream_mode] if isinstance(self.stream_mode, str) else self.stream_mode
        return RunSpec(
            assistant_id=assistant_id,
            graph_id=graph_id,
            strategy=self.multitask_strategy,
            input=self.input,
            command=self.command.model_dump() if self.command else None,
            config=self.config.model_dump(exclude_none=True) if self.config else {},
            context=self.context,
            metadata=self.metadata or {},
            stream_mode=tuple(dict.fromkeys(modes)) or ("values",),
            stream_subgraphs=self.stream_subgraphs,
            interrupt_before=_names(self.interrupt_before),
            interrupt_after=_names(self.interrupt_after),
            checkpoint_id=self.checkpoint_id or (self.checkpoint.checkpoint_id if self.checkpoint else None),
            after_seconds=self.after_seconds,
            webhook=self.webhook,
        )


class StatelessRunCreate(RunCreate):
    """Body of the endpoints that run on a temporary thread."""

    on_completion: Literal["delete", "keep"] = "delete"


class RunsCancel(BaseModel):
    """Body of the bulk cancel: runs by id on one thread, or all with a status anywhere."""

    thread_id: UUID | None = None
    run_ids: list[UUID] | None = None
    status: Literal["pending", "running", "all"] | None = None


class ThreadCreate(BaseModel):
    thread_id: UUID | None = None
    metadata: Object | None = None
    if_exists: Literal["raise", "do_nothing"] = "raise"


class ThreadPatch(BaseModel):
    metadata: Object | None = None


class ThreadSearch(BaseModel):
    ids: list[UUID] | None = None
    metadata: Object | None = None
    status: ThreadStatus | None = None
    limit: Limit = 10
    offset: Offset = 0
    sort_by: Literal["thread_id", "status", "created_at", "updated_at"] = "created_at"
    sort_order: Literal["asc", "desc"] = "desc"


class StateUpdate(BaseModel):
    values: Object | list[Any] | None = None
    as_node: str | None = None
    checkpoint: CheckpointBody | None = None
    checkpoint_id: str | None = None


class StateAt(BaseModel):
    checkpoint: CheckpointBody


class Configured(BaseModel):
    configurable: CheckpointBody


class HistoryQuery(BaseModel):
    limit: Limit = 10
    before: str | Configured | CheckpointBody | None = None
    metadata: Object | None = None
    checkpoint: CheckpointBody | None = None

    def before_id(self) -> str | None:
        before = self.before
        if isinstance(before, Configured):
            before = before.configurable
        return before.checkpoint_id if isinstance(before, CheckpointBody) else before


class AssistantSearch(BaseModel):
    graph_id: str | None = None
    metadata: Object | None = None
    name: str | None = None
    limit: Limit = 10
    offset: Offset = 0


class StorePut(BaseModel):
    namespace: Annotated[list[str], Field(min_length=1)]
    key: str
    value: Object
    index: Literal[False] | list[str] | None = None
    ttl: float | None = None


class StoreDelete(BaseModel):
    namespace: Annotated[list[str], Field(min_length=1)]
    key: str


class StoreSearch(BaseModel):
    namespace_prefix: list[str] = []
    filter: Object | None = None
    limit: Limit = 10
    offset: Offset = 0
    query: str | None = None


class NamespaceSearch(BaseModel):
    prefix: list[str] | None = None
    suffix: list[str] | None = None
    max_depth: Annotated[int, Field(ge=1)] | None = None
    limit: Limit = 100
    offset: Offset = 0


def _names(nodes: Nodes) -> str | tuple[str, ...] | None:
    return tuple(nodes) if isinstance(nodes, list) else nodes
