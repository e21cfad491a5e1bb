/**
 * A graph of plain steps, for the confirming scripts beside it; nothing of doubletext is in it.
 *
 * Input: `{script: {name: "A", steps: 3, ms: 50}, at: 0}`. Each step is one superstep and so one checkpoint: it
 * sleeps `ms` milliseconds, or until the run is told to stop (not where the script is `stubborn`), and appends "A0", "A1" …
 * to `log`.
 */

import { Annotation, END, type LangGraphRunnableConfig, START, StateGraph } from "@langchain/langgraph";

const State = Annotation.Root({
  script: Annotation<{ name: string; steps: number; ms: number; stubborn?: boolean }>(),
  at: Annotation<number>(),
  log: Annotation<string[]>({ reducer: (old, more) => old.concat(more), default: () => [] }),
});

async function step(state: typeof State.State, config: LangGraphRunnableConfig) {
  const { script, at } = state;
  await new Promise<void>((done, stop) => {
    setTimeout(done, script.ms);
    if (!script.stubborn) config.signal?.addEventListener("abort", () => stop(new Error("told to stop")));
  });
  return { at: at + 1, log: [`${script.name}${at}`] };
}

function more(state: typeof State.State) {
  return (state.at ?? 0) < (state.script?.steps ?? 0) ? "step" : END;
}

export const graph = new StateGraph(State)
  .addNode("step", step)
  .addConditionalEdges(START, more, ["step", END])
  .addConditionalEdges("step", more, ["step", END])
  .compile();
