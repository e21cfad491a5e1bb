// doubletext-probe: written by doubletext; safe to delete together with its entry in langgraph.json
/**
 * The Doubletext probe for JavaScript servers: the same mini-language, announcements and gates as the Python one.
 *
 * The input is `{program: {tag, steps, via}, pc: 0, messages: [...]}`. Each step is one superstep and so one
 * checkpoint: `{op: NAME, ...}` with `emit`, `add`, `note`, `effect`, `call`, `result`, `fail`, `ask`, and any of
 * `sleep` (ms), `gate` (a key: wait there until the harness opens it, at most `bound` seconds), `swallow` (a second
 * gate: a cancellation is swallowed and the step waits there instead, then goes on), `block`, `nested` (in a subgraph,
 * which writes checkpoints in a namespace of its own; it is one superstep of the graph all the same).
 *
 * A JavaScript server does not stop node code; it tells it by `config.signal`. A step that is told announces
 * `cancelled` and throws. A step with `block` does not listen: nobody can stop it. (It does not block the event
 * loop, as synchronous code would: that would stop the server itself, and the harness could never open the gate.)
 *
 * Announcements leave by every transport named in `via` (`callback`: a URL, `store`: a namespace, `stream`: true)
 * and never through the thread's state. Requires @langchain/langgraph 1.0 or newer and Node 20 or newer.
 */

import { createHash, randomBytes } from "node:crypto";
import { AIMessage, type BaseMessage, ToolMessage } from "@langchain/core/messages";
import {
  Annotation,
  END,
  type LangGraphRunnableConfig,
  MessagesAnnotation,
  START,
  StateGraph,
  getStore,
  interrupt,
} from "@langchain/langgraph";

export const PROBE_VERSION = 2;
const CLOCK = randomBytes(6).toString("hex"); // names this process's monotonic clock: others' readings do not compare
let sequence = 0;

// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Json = any;
type Step = { op: string; [key: string]: Json };
type Via = { callback?: string; store?: string[]; stream?: boolean };
type Program = { tag: string; steps: Step[]; via?: Via };
type Entry = { tag: string; step: number; op: string; run: string | null; found?: Found; answer?: Json };
type Found = {
  log: number;
  log_hash: string;
  counter: number;
  note: string;
  messages: number;
  messages_hash: string;
  last_input: string;
};

/** Raised by the `fail` instruction, on purpose. */
class ProbeFailure extends Error {}

/** Thrown when the run was told to stop. */
class Cancelled extends Error {}

/** Channels of the probe; `counter` and `note` have no reducer: the last write wins. */
export const State = Annotation.Root({
  ...MessagesAnnotation.spec,
  program: Annotation<Program>(),
  pc: Annotation<number>(),
  log: Annotation<Entry[]>({ reducer: (old, more) => old.concat(more), default: () => [] }),
  counter: Annotation<number>(),
  note: Annotation<string>(),
});
type S = typeof State.State;

// --- what a step finds, and how it is announced ------------------------------------------------

/** Short hash of a sequence of strings; the harness computes the same over what it reads. */
export function digest(parts: string[]): string {
  return createHash("sha256").update(parts.join("\n"), "utf8").digest("hex").slice(0, 16);
}

/** What the run finds in the state. */
export function foundIn(state: Partial<S>, tag: string): Found {
  const log = state.log ?? [];
  const messages: BaseMessage[] = state.messages ?? [];
  const inputs = messages.filter((m) => m.getType() === "human").map((m) => String(m.content));
  const others = messages.filter((m) => String(m.content) !== tag).map((m) => `${m.getType()}:${m.id}`);
  return {
    log: log.length,
    log_hash: digest(log.map((e) => `${e.tag}:${e.step}`)),
    counter: state.counter ?? 0,
    note: state.note ?? "",
    messages: others.length,
    messages_hash: digest(others),
    last_input: inputs.length ? inputs[inputs.length - 1] : "",
  };
}

function known(config: LangGraphRunnableConfig, name: string): string | null {
  const value = config.configurable?.[name] ?? config.metadata?.[name];
  return value === undefined || value === null ? null : String(value);
}

function recordOf(kind: string, state: S, config: LangGraphRunnableConfig, more: Json): Json {
  const { program, pc } = state;
  return {
    kind,
    tag: program.tag,
    step: pc,
    op: program.steps[pc].op,
    run: known(config, "run_id"),
    thread: known(config, "thread_id"),
    attempt: known(config, "attempt") ?? known(config, "run_attempt"),
    clock: CLOCK,
    t: performance.now() / 1000,
    seq: sequence++,
    ...more,
  };
}

// --- transports ----------------------------------------------------------------------------------

const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

async function post(url: string, path: string, body: Json, seconds: number, signal?: AbortSignal): Promise<Json> {
  const bound = AbortSignal.timeout(Math.ceil(seconds * 1000));
  const answer = await fetch(url + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal: signal ? AbortSignal.any([signal, bound]) : bound,
  });
  const text = await answer.text();
  return text.trim() ? JSON.parse(text) : {};
}

/** Send one record by every transport; a dead transport must not fail the run that is observed. */
async function announce(via: Via, record: Json, config: LangGraphRunnableConfig): Promise<void> {
  if (via.stream) {
    try {
      config.writer?.({ doubletext: record });
    } catch {
      // the run's stream is closed
    }
  }
  if (via.callback) {
    await post(via.callback, "/announce", record, 10).catch(() => {});
  }
  if (via.store) {
    const key = `${record.clock}-${String(record.seq).padStart(8, "0")}`;
    try {
      await (config.store ?? getStore())?.put([...via.store, "records"], key, record);
    } catch {
      // no store
    }
  }
}

/** Wait until the harness opens gate `key`; false when `bound` (seconds) expired first. */
async function waitAtGate(
  via: Via,
  key: string,
  bound: number,
  config: LangGraphRunnableConfig,
  signal?: AbortSignal,
): Promise<boolean> {
  const end = performance.now() / 1000 + bound;
  for (let left = bound; left > 0 && !signal?.aborted; left = end - performance.now() / 1000) {
    if (via.callback) {
      try {
        if ((await post(via.callback, "/wait", { key, for: left }, left + 1, signal)).open) return true;
      } catch {
        await sleep(50);
      }
    } else if (via.store) {
      if (await (config.store ?? getStore())?.get([...via.store, "gates"], key)) return true;
      await sleep(10);
    } else {
      await sleep(left * 1000);
    }
  }
  return false;
}

/** What `work` gives, unless the run is told to stop before that. */
async function unlessCancelled<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  let told = (): void => {};
  const stop = new Promise<never>((_, reject) => {
    told = () => reject(new Cancelled("the run was told to stop"));
    signal.addEventListener("abort", told, { once: true });
    if (signal.aborted) told();
  });
  try {
    return await Promise.race([work, stop]);
  } finally {
    signal.removeEventListener("abort", told);
  }
}

// --- the nodes -----------------------------------------------------------------------------------

/** What the step writes. */
export function writesOf(state: S, step: Step, found: Found, run: string | null): Partial<S> {
  const { program, pc } = state;
  const tag = program.tag;
  const entry: Entry = { tag, step: pc, op: step.op, run };
  if (pc === 0) entry.found = found; // the second witness, inside the state itself
  const writes: Json = { pc: pc + 1, log: [entry] };
  switch (step.op) {
    case "add":
      writes.counter = found.counter + (step.by ?? 1);
      break;
    case "note":
      writes.note = step.value ?? `${tag}:${pc}`;
      break;
    case "call": {
      const call = { name: "probe_tool", args: {}, id: step.id, type: "tool_call" as const };
      writes.messages = [new AIMessage({ content: "", id: `ai-${tag}-${pc}`, tool_calls: [call] })];
      break;
    }
    case "result":
      writes.messages = [new ToolMessage({ content: "done", id: `tool-${tag}-${pc}`, tool_call_id: step.id })];
      break;
    case "ask":
      entry.answer = interrupt({ tag, step: pc });
      break;
  }
  return writes;
}

async function run(state: S, config: LangGraphRunnableConfig, listens: boolean): Promise<Partial<S>> {
  const { program, pc } = state;
  const step = program.steps[pc];
  const via = program.via ?? {};
  const bound = Number(step.bound ?? 60);
  const signal = listens ? config.signal : undefined;
  const found = foundIn(state, program.tag);
  const tell = (kind: string, more: Json = {}) => announce(via, recordOf(kind, state, config, more), config);
  let gate: boolean | null = null;

  await tell("enter", { found, gate: step.gate ?? null });
  try {
    if (step.sleep) await unlessCancelled(sleep(step.sleep), signal);
    if (step.gate) gate = await unlessCancelled(waitAtGate(via, step.gate, bound, config, signal), signal);
    if (signal?.aborted) throw new Cancelled("the run was told to stop");
  } catch (error) {
    if (!(error instanceof Cancelled)) throw error;
    if (!step.swallow) {
      void tell("cancelled");
      throw error;
    }
    await tell("swallowed");
    gate = await waitAtGate(via, step.swallow, bound, config);
  }
  if (step.op === "effect") await tell("effect", { name: step.name ?? "effect" });
  if (step.op === "fail") {
    await tell("raise");
    throw new ProbeFailure(`the probe was told to fail (tag ${program.tag})`);
  }
  const writes = writesOf(state, step, found, known(config, "run_id"));
  await tell("leave", { gate_opened: gate });
  return writes;
}

/** Channels of the subgraph: what its parent found, and what its parent is to write. */
const Inner = Annotation.Root({ outer: Annotation<S>(), writes: Annotation<Partial<S>>() });

/** Two supersteps: a checkpoint of the subgraph's own stands before the instruction begins. */
const subgraph = new StateGraph(Inner)
  .addNode("prepare", () => ({ writes: {} }))
  .addNode("work", async ({ outer }, config) => ({ writes: await run(outer, config, true) }))
  .addEdge(START, "prepare")
  .addEdge("prepare", "work")
  .addEdge("work", END)
  .compile();

async function nested(state: S, config: LangGraphRunnableConfig): Promise<Partial<S>> {
  return (await subgraph.invoke({ outer: state }, config)).writes;
}

/** Choose the node that executes the instruction at `pc`, or end after the last one. */
export function route(state: Partial<S>): "step" | "block" | "nested" | typeof END {
  const steps = state.program?.steps ?? [];
  const pc = state.pc ?? 0;
  if (pc >= steps.length) return END;
  if (steps[pc].block) return "block";
  return steps[pc].nested ? "nested" : "step";
}

export const graph = new StateGraph(State)
  .addNode("step", (state, config) => run(state, config, true))
  .addNode("block", (state, config) => run(state, config, false))
  .addNode("nested", nested)
  .addConditionalEdges(START, route, ["step", "block", "nested", END])
  .addConditionalEdges("step", route, ["step", "block", "nested", END])
  .addConditionalEdges("block", route, ["step", "block", "nested", END])
  .addConditionalEdges("nested", route, ["step", "block", "nested", END])
  .compile();
graph.name = "doubletext";
