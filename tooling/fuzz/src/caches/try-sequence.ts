import { type Policy, PolicyError, parsePolicies } from "@kvfold/policies";
import {
  type CausalLM,
  createCausalLM,
  createRandom,
  type DecodingState,
  type Random,
  RuntimeError,
} from "@kvfold/runtime";
import { bytesSource } from "@kvfold/safetensors";
import { DifferenceError, lockstep, looking, same, type World } from "./lockstep.js";
import { append, copySlow, createSlowCache, forgetObserved, slowLogits, truncateSlow } from "./slow-cache.js";
import { createTinyGraph, type TinyGraph, type TinyLayer, VOCABULARY } from "./tiny-graph.js";

/** Layers whose keys and values have as many heads, or keys twice as many; and one of joint latents. */
const SHAPES: readonly (readonly TinyLayer[])[] = [
  [
    { heads: 2, queryHeads: 4, parts: { key: { heads: 2, size: 4 }, value: { heads: 2, size: 2 } } },
    { heads: 2, queryHeads: 2, parts: { key: { heads: 2, size: 4 }, value: { heads: 4, size: 1 } } },
  ],
  [
    { heads: 1, queryHeads: 0, parts: { latent: { heads: 2, size: 2 } } },
    { heads: 1, queryHeads: 0, parts: { latent: { heads: 1, size: 3 } } },
  ],
];

/** What acts on a state from the beginning, and what compresses it by hand. */
const OWN = [
  "",
  "streaming:6t:sinks=2",
  "tova:6t",
  "corm:window=3:recent=2",
  "keydiff:0.5,think:0.5:window=4:recent=2",
];
const BY_HAND = [
  "keydiff:0.4",
  "knorm:0.3:spare=0",
  "tova:0.5",
  "snapkv:0.5:window=4",
  "pyramidkv:0.5:window=2",
  "streaming:0.5:sinks=1",
  "random:0.3",
  "expected:0.3:sinks=1:future=4",
  "observed:0.2",
  "fastgen:0.8:window=4",
  "kvmerger:0.4:spare=0:window=4",
  "kvmerger:0.4:spare=0:window=0",
  "think:0.5:window=4:recent=1",
  "keydiff:0.1,think:0.5:window=4",
];
/** Of latents. */
const OWN_RUNS = ["", "streaming:9t", "keydiff:0.5"];
const RUNS_BY_HAND = ["keydiff:0.4", "knorm:0.3:spare=0", "streaming:0.5", "random:0.3", "decoquant:4"];

const OBSERVE = { queries: 6, attention: 4, attentionSums: 11 };
const STEPS = 10;

interface Sequence {
  readonly random: Random;
  readonly graph: TinyGraph;
  readonly lm: CausalLM;
  readonly world: World;
  readonly hasLatents: boolean;
  /** What states begin with. */
  readonly actions: CausalLM.CacheOptions;
  state: DecodingState;
}

/**
 * One random sequence of prompts, steps, policies, cuts, files, copies and runs that fail, against a slow cache of the same.
 *
 * @returns What was done, step by step.
 * @throws {DifferenceError} where they differ, or a call fails that should not.
 */
export async function trySequence(seed: number, index: number): Promise<readonly string[]> {
  const sequence = begin(createRandom(seed * 1_000_003 + index));
  const done: string[] = [];
  try {
    for (let step = 0; step < STEPS; step++) {
      const [name, act] = pick(sequence.random, Object.entries(acts));
      done.push(name);
      await act(sequence);
      check(sequence);
    }
  } catch (cause) {
    const what = `sequence ${index} of seed ${seed} (${done.join(", ")}): ${String(cause)}`;
    throw new DifferenceError(what, { cause });
  }
  sequence.state.dispose();
  return done;
}

function begin(random: Random): Sequence {
  const hasLatents = random() < 0.25;
  const layers = SHAPES[hasLatents ? 1 : 0]!;
  const own = pick(random, hasLatents ? OWN_RUNS : OWN);
  const firstPosition = random() < 0.5 ? 0 : 7;
  const world: World = { slow: createSlowCache(layers, firstPosition), logits: new Float64Array() };
  const cache = policiesOf(world, own);
  const needs = cache.map((policy) => policy.needs?.queries ?? 0);
  const most = Math.max(hasLatents ? 0 : OBSERVE.queries, ...needs);
  const graph = createTinyGraph(layers, ({ ids, ...observed }) => {
    append(world.slow, ids, { ...observed, most });
    world.logits = slowLogits(world.slow);
  });
  const lm = createCausalLM(graph.session, { prefillChunk: 8, maxPositions: 400 });
  const actions = { cache, ...(hasLatents ? {} : { observe: OBSERVE }) };
  return {
    random,
    graph,
    lm,
    world,
    hasLatents,
    actions,
    state: lm.createState({ firstPosition, ...actions }),
  };
}

const pick = <T>(random: Random, values: readonly T[]): T => values[Math.floor(random() * values.length)]!;

function policiesOf(world: World, text: string): readonly Policy[] {
  if (text === "") return [];
  const twins = parsePolicies(text);
  return parsePolicies(text).map((policy, index) => lockstep(world, policy, twins[index]!));
}

const idsOf = (random: Random, count: number): readonly number[] =>
  Array.from({ length: count }, () => Math.floor(random() * VOCABULARY));

const wordsOf = ({ random }: Sequence): readonly number[] => idsOf(random, 1 + Math.floor(random() * 20));

const acts: Readonly<Record<string, (sequence: Sequence) => Promise<void>>> = {
  prefill: async (sequence) => checkLogits(sequence, await sequence.state.prefill(wordsOf(sequence))),
  async decode(sequence) {
    for (const id of idsOf(sequence.random, 1 + Math.floor(sequence.random() * 4)))
      checkLogits(sequence, await sequence.state.decode(id));
  },
  async forward(sequence) {
    const { data } = await sequence.state.forward(wordsOf(sequence));
    checkLogits(sequence, data.subarray(data.length - VOCABULARY));
  },
  async compress({ random, world, hasLatents, state }) {
    if (state.length === 0) return;
    const text = pick(random, hasLatents ? RUNS_BY_HAND : BY_HAND);
    try {
      state.compress(policiesOf(world, text));
    } catch (error) {
      // Steps are not looked at, so policies that look at queries have none after them.
      const { queries, summed } = world.slow;
      if (!PolicyError.isInstance(error) || (queries.length > 0 && summed > 0)) throw error;
      world.slow.settled = world.slow.ids.length;
    }
  },
  async truncate({ random, world, state }) {
    const length = Math.floor(random() * (state.length + 1));
    if (length > 0 && length < world.slow.settled)
      return expectCode(() => state.truncate(length), "invalid-argument");
    state.truncate(length);
    truncateSlow(world.slow, length);
  },
  async clear({ world, state }) {
    state.clear();
    truncateSlow(world.slow, 0);
  },
  async load(sequence) {
    const { lm, state, world, actions } = sequence;
    const { pieces } = state.save("tiny");
    const file = Buffer.concat(pieces.map((piece) => Buffer.from(piece)));
    state.dispose();
    sequence.state = await lm.loadState(bytesSource(file), "tiny", actions);
    forgetObserved(world.slow);
  },
  async copy(sequence) {
    const { state, world, random } = sequence;
    const copy = state.copy();
    const slow = copySlow(world.slow);
    // What happens to one of them is nothing to the other.
    const [kept, other] = random() < 0.5 ? [state, copy] : [copy, state];
    world.slow = copySlow(slow);
    await other.prefill(idsOf(random, 3));
    other.dispose();
    world.slow = slow;
    sequence.state = kept;
  },
  async fail({ random, graph, state, world }) {
    graph.failAfter(Math.floor(random() * 2));
    const work = () => state.prefill(idsOf(random, 12));
    await expectCode(work, "run-failed");
    // Its attention may have been written over that of the run before.
    if (graph.failedRows > 0) world.slow.rows = 0;
  },
  async overlap({ random, state, world }) {
    const busy = state.prefill(idsOf(random, 9));
    for (const call of [() => state.clear(), () => state.copy(), () => state.save("tiny")])
      await expectCode(call, "busy");
    checkLogits({ world }, await busy);
  },
};

async function expectCode(work: () => unknown, code: string): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (RuntimeError.isInstance(error) && error.code === code) return;
    throw error;
  }
  throw new DifferenceError(`expected ${code}, found no error`);
}

/** Sums of a few hundred float32 numbers in another order. */
const TOLERANCE = 1e-4;

function checkLogits({ world: { logits } }: Pick<Sequence, "world">, found: ArrayLike<number>): void {
  for (const [id, expected] of logits.entries())
    if (!(Math.abs(found[id]! - expected) < TOLERANCE))
      throw new DifferenceError(`logits: expected ${expected} for token ${id}, found ${found[id]}`);
}

/** Comparing all that a cache shows takes most of the time, and policies do it, too. */
const LOOKING = 0.3;

function check({ random, state, world }: Sequence): void {
  const { slow } = world;
  same("ids", state.tokens, slow.ids);
  same("length", state.length, slow.ids.length);
  same("settled", state.settled, slow.settled);
  same(
    "held",
    state.heldTokens,
    slow.tokens.map((heads) => heads.map(({ length }) => length)),
  );
  if (state.length > 0 && random() < LOOKING) state.compress([looking(world)]);
}
