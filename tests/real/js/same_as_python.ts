/** The JavaScript probe's pure functions over inputs that the test gives: one JSON line in, one out. */
import { readFileSync } from "node:fs";
import { AIMessage, HumanMessage, ToolMessage } from "@langchain/core/messages";
import { digest, foundIn, route, writesOf } from "./doubletext_probe.ts";

const kinds = { human: HumanMessage, ai: AIMessage, tool: ToolMessage };
const { digests, states } = JSON.parse(readFileSync(0, "utf8"));

function alive(state) {
  const messages = (state.messages ?? []).map((m) => new kinds[m.type]({ tool_call_id: "x", ...m }));
  return { ...state, messages };
}

const answers = states.map(({ state, tag }) => {
  const found = foundIn(alive(state), tag);
  const step = state.program?.steps?.[state.pc];
  const { messages, ...writes } = step ? writesOf(alive(state), step, found, "run-1") : {};
  const written = (messages ?? []).map((m) => [m.getType(), m.id, m.content, m.tool_calls?.[0]?.id ?? m.tool_call_id]);
  return { found, route: route(alive(state)), writes, messages: written };
});
console.log(JSON.stringify({ digests: digests.map(digest), answers }));
