import type { HeadChange, LayerChange, LayerView, Policy, PolicyNeeds } from "@kvfold/policies";
import { keptIndices } from "@kvfold/policies/check";
import {
  type CacheLayout,
  OBSERVATIONS,
  type Observation,
  precisionsOf,
  type RaggedLayer,
} from "./cache-layout.js";
import { checkStored } from "./check-stored.js";
import { keptCount } from "./kept-count.js";
import type { RaggedCache } from "./ragged-cache.js";
import { RuntimeError } from "./runtime-error.js";

/** When policies act. */
export type PolicyTime = "afterPrefill" | "afterStep";

/**
 * Lets policies change a cache, one after the other, layer by layer.
 *
 * @returns Whether tokens were dropped.
 * @throws {RuntimeError} `invalid-argument` when a policy keeps what is not there.
 */
export function applyPolicies(
  cache: RaggedCache,
  policies: readonly Policy[],
  { time, ids }: { readonly time: PolicyTime; readonly ids: readonly number[] },
): boolean {
  const acting = policies.filter((policy) => policy[time] !== undefined);
  let hasDropped = false;
  for (const layer of cache.layers.keys()) {
    for (const policy of acting) {
      const view = { ...cache.view(layer), ids };
      const change = ask(policy[time]!, view);
      if (change === undefined) continue;
      for (const [head, own] of change.entries()) checkChange(policy, view, head, own);
      hasDropped ||= view.heads.some(({ tokens }, head) => dropsTokens(change[head], tokens));
      cache.change(layer, change);
    }
  }
  return hasDropped;
}

const dropsTokens = (change: HeadChange | undefined, tokens: number): boolean =>
  change !== undefined && keptCount(change, tokens) < tokens;

/** What a policy does to the heads that hold tokens; there is nothing to decide of the others. */
function ask(policy: (layer: LayerView) => LayerChange, view: LayerView): LayerChange {
  const filled = view.heads.filter(({ tokens }) => tokens > 0);
  if (filled.length === 0) return undefined;
  if (filled.length === view.heads.length) return policy(view);
  const change = policy({ ...view, heads: filled });
  let next = 0;
  return change && view.heads.map(({ tokens }) => (tokens === 0 ? undefined : change[next++]));
}

/** Policies for one cache: those that remember what they saw begin anew. */
export const beginPolicies = (policies: readonly Policy[]): readonly Policy[] =>
  policies.map((policy) => policy.begin?.() ?? policy);

/** What some policies look at, all together. */
export function needsOf(
  policies: readonly { readonly needs?: PolicyNeeds | undefined }[],
): Required<PolicyNeeds> {
  const most = (kind: keyof PolicyNeeds) =>
    policies.reduce((count, { needs }) => Math.max(count, needs?.[kind] ?? 0), 0);
  return {
    queries: most("queries"),
    attention: most("attention"),
    attentionSums: most("attentionSums"),
  };
}

/** What policies that act after each token look at. */
export const stepNeedsOf = (policies: readonly Policy[]): PolicyNeeds =>
  needsOf(policies.filter(({ afterStep }) => afterStep !== undefined));

/**
 * @param caller - What errors begin with: `createState`.
 * @param observe - What is to be looked at besides, by an option of this name.
 * @throws {RuntimeError} `invalid-argument` for policies that ask for another graph than the model's, or look at what it does not
 *   give out.
 */
export function checkGraph(
  caller: string,
  policies: readonly Policy[],
  layout: CacheLayout,
  observe?: PolicyNeeds,
): void {
  checkStored(caller, policies, precisionsOf(layout));
  checkNeeds(caller, [...policies, { name: "observe", needs: observe }], layout.ragged);
}

/** What something looks at: a policy, or an option `observe`. */
interface Looking {
  readonly name: string;
  readonly needs?: PolicyNeeds | undefined;
}

function checkNeeds(
  caller: string,
  looking: readonly Looking[],
  layers: readonly RaggedLayer[] | undefined,
): void {
  if (layers === undefined)
    throw new RuntimeError(
      "invalid-argument",
      `${caller}: expected a policy graph (model_policy.onnx) to drop tokens from its cache, found another: load that one, or write the model anew`,
    );
  for (const kind of OBSERVATIONS) {
    const without = layers.findIndex((layer) => layer[kind] === undefined);
    const one = looking.find(({ needs }) => (needs?.[kind] ?? 0) > 0);
    if (one === undefined || without < 0) continue;
    throw new RuntimeError(
      "invalid-argument",
      `${caller}: ${one.name}: expected a model that gives out ${NOUNS[kind]}, found none in layer ${without}: ${wayOut(kind, layers[without]!)}`,
    );
  }
}

const NOUNS: Readonly<Record<Observation, string>> = {
  queries: "the queries that it looks at",
  attention: "the attention that it looks at",
  attentionSums: "the sums of attention that it looks at",
};

/** Graphs of earlier versions give out attention, but not its sums. */
const wayOut = (kind: Observation, { attention }: RaggedLayer): string =>
  kind === "attentionSums" && attention !== undefined
    ? "the graph was written by an earlier version of kvfold: delete the model's policy graphs (onnx/model*_policy*.onnx) and write them anew (kvfold add-graphs FOLDER --original MODEL), or choose another policy"
    : "choose a policy that looks at keys and values alone (keydiff, knorm, streaming, random, decoquant)";

function checkChange(
  { name }: Policy,
  { heads, layer, run }: LayerView,
  head: number,
  change: HeadChange | undefined,
): void {
  if (change === undefined) return;
  const { tokens = 0 } = heads[head] ?? {};
  const indices = change.kept ?? change.dropped;
  if (!isAscending(indices) || (indices.at(-1) ?? -1) >= tokens)
    throw new RuntimeError(
      "invalid-argument",
      `policy ${name}: expected indices below ${tokens} in ascending order for head ${head} of layer ${layer}, found others`,
    );
  if (run > 1 && !keepsRuns(keptIndices(change, tokens), tokens, run))
    throw new RuntimeError(
      "invalid-argument",
      `policy ${name}: expected whole runs of ${run} tokens in layer ${layer}, whose latents are read by runs, found parts of one`,
    );
}

/** A loop, since it runs for each head at each step. */
function isAscending(indices: Int32Array): boolean {
  let before = -1;
  for (let place = 0; place < indices.length; place++) {
    if (indices[place]! <= before) return false;
    before = indices[place]!;
  }
  return true;
}

/** Whether tokens are kept in whole runs, and all after the last of these. */
function keepsRuns(kept: Int32Array, tokens: number, run: number): boolean {
  const whole = Math.floor(tokens / run) * run;
  const counts = new Map<number, number>();
  for (const index of kept)
    counts.set(Math.floor(index / run), (counts.get(Math.floor(index / run)) ?? 0) + 1);
  return (
    [...counts].every(([first, count]) => first * run === whole || count === run) &&
    (counts.get(whole / run) ?? 0) === tokens - whole
  );
}
