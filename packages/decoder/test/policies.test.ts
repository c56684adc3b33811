import { ALL_TOKENS, type HeadChange, type HeadView, type Policy, parsePolicies } from "@kvfold/policies";
import {
  type CausalLM,
  cacheBytesPerToken,
  createCausalLM,
  generate,
  type ModelSource,
  type PolicyScore,
  policyProbe,
} from "@kvfold/runtime";
import { bytesSource } from "@kvfold/safetensors";
import { beforeAll, describe, expect, it } from "vitest";
import { readConfig, rotaryFrequencies } from "../src/index.js";
import type { AttentionWeights } from "../src/model/decoder-weights.js";
import { syntheticCheckpoint, tinyLlama } from "./reference/synthetic-checkpoint.js";
import { exportModel, withModel } from "./support/export-model.js";
import { withJointLatent } from "./support/joint-layers.js";

const tokensOf = (count: number) => Array.from({ length: count }, (_, index) => (index * index * 7 + 3) % 61);
const prompt = tokensOf(41);

/** Two KV heads, each read by two query heads. */
const config = { ...tinyLlama, num_key_value_heads: 2 };

let model: ModelSource;
beforeAll(async () => {
  model = await exportModel(await syntheticCheckpoint({ config }), { form: "policy", maxPositions: 128 });
});

/** Chunks of the prompt are shorter than windows of policies, and do not divide it. */
const withPolicies = <T>(use: (lm: CausalLM) => Promise<T>, source = model): Promise<T> =>
  withModel(source, (session) => use(createCausalLM(session, { prefillChunk: 16 })));

const counts = (heads: readonly (readonly number[])[]) => [...new Set(heads.flat())];

/**
 * A policy that adds up the rows of attention that it is shown after prompts of no more than 16 tokens, by layer, head, query
 * head and position, and how far the sums that it is shown are from these.
 */
function summingRows() {
  const paid = new Map<string, number>();
  const seen = { queries: [] as number[], worst: 0 };
  const look = (place: string, { tokens, positions, attention, attentionSums }: HeadView) => {
    const rows = attention!.length / (2 * tokens);
    const key = (member: number, token: number) => `${place} ${member} ${positions[token]}`;
    for (const [at, share] of attention!.entries()) {
      const own = key(Math.floor(at / (rows * tokens)), at % tokens);
      paid.set(own, (paid.get(own) ?? 0) + share);
    }
    for (const [at, sum] of attentionSums!.sums.entries()) {
      const expected = paid.get(key(Math.floor(at / tokens), at % tokens))!;
      seen.worst = Math.max(seen.worst, Math.abs(sum - expected));
    }
    seen.queries.push(attentionSums!.queries);
  };
  const policy: Policy = {
    name: "summing",
    action: "drop",
    needs: { attention: 16, attentionSums: ALL_TOKENS },
    afterPrefill({ layer, heads }) {
      for (const [head, view] of heads.entries()) look(`${layer} ${head}`, view);
      return undefined;
    },
  };
  return { policy, seen };
}

describe("policies on a decoder", () => {
  it.each([
    "keydiff:0.5",
    "knorm:0.5:spare=0",
    "tova:0.5",
    "snapkv:0.5:window=8",
    "random:0.5",
    "streaming:0.5",
  ])("%s meets its budget and leaves a state that goes on", (policy) =>
    withPolicies(async (lm) => {
      const state = lm.createState({ cache: parsePolicies(policy) });
      const logits = (await state.prefill(prompt)).slice();
      expect(counts(state.heldTokens)).toEqual([20]);
      expect(state.length).toBe(41);
      await state.decode(5);
      expect(counts(state.heldTokens)).toEqual([21]);
      expect(state.settled).toBe(41);
      state.truncate(41);
      expect(() => state.truncate(40)).toThrow(/^truncate: expected 0 or a length from 41, since policies/);
      state.truncate(0);
      expect(await state.prefill(prompt)).toEqual(logits);
    }),
  );

  it("attends in the first layer as before, to the tokens that each head has kept alone", () =>
    withPolicies(async (lm) => {
      const look: Policy = {
        name: "look",
        action: "drop",
        needs: { attention: 1 },
        afterStep: (layer) => note(layer),
      };
      const seen: { positions: number[]; rows: number[] }[][] = [];
      const note: NonNullable<Policy["afterStep"]> = ({ layer, heads }) => {
        if (layer === 0)
          seen.push(
            heads.map(({ positions, attention }) => ({ positions: [...positions], rows: [...attention!] })),
          );
        return undefined;
      };
      /** Each head keeps others. */
      const apart: Policy = {
        name: "apart",
        action: "merge",
        afterPrefill: ({ heads }) =>
          heads.map(({ tokens }, head) => ({
            kept: Int32Array.from({ length: tokens }, (_, index) => index).filter(
              (index) => index % (head + 2) === 0,
            ),
          })),
      };
      for (const cache of [[look], [look, apart]]) {
        const state = lm.createState({ cache });
        await state.prefill(prompt);
        await state.decode(9);
      }
      const [whole, dropped] = seen as [(typeof seen)[0], (typeof seen)[0]];
      for (const [head, { positions, rows }] of dropped.entries()) {
        expect(positions).toHaveLength(Math.ceil(41 / (head + 2)) + 1);
        for (const query of [0, 1]) {
          const all = whole[head]!.rows.slice(query * 42, (query + 1) * 42);
          const own = positions.map((position) => all[position]!);
          const total = own.reduce((sum, share) => sum + share, 0);
          const row = rows.slice(query * positions.length, (query + 1) * positions.length);
          // Shares of float32, divided by their sum.
          for (const [index, share] of row.entries()) expect(share).toBeCloseTo(own[index]! / total, 6);
        }
      }
    }));

  it("keeps to a number of tokens while it decodes, and a conversation goes on", () =>
    withPolicies(async (lm) => {
      const state = lm.createState({ cache: parsePolicies("streaming:16t") });
      const text = [...prompt];
      for (let turn = 0; turn < 3; turn++) {
        for await (const token of generate(lm, text, { state, maxNewTokens: 6 })) text.push(token);
        expect(counts(state.heldTokens)).toEqual([16]);
        text.push(1, 2, 3);
      }
      const tova = lm.createState({ cache: parsePolicies("tova:16t") });
      await tova.prefill(prompt);
      for (const id of [4, 5, 6]) await tova.decode(id);
      expect(counts(tova.heldTokens)).toEqual([16]);
    }));

  it("takes no more memory after 20 turns than after two", () =>
    withPolicies(async (lm) => {
      const state = lm.createState({ cache: parsePolicies("streaming:8t") });
      const bytes: number[] = [];
      for (let turn = 0; turn < 20; turn++) {
        await state.prefill(tokensOf(5));
        await state.decode(turn);
        bytes.push(state.cacheBytes);
      }
      expect(state.length).toBe(120);
      // Slots come in blocks of 64; without the policy there would be two.
      const block = 64 * cacheBytesPerToken(lm.cacheLayout);
      expect(bytes).toEqual(Array.from({ length: 20 }, () => block));
    }));

  it("is saved, loaded and copied with what each head holds", () =>
    withPolicies(async (lm) => {
      const state = lm.createState({ cache: parsePolicies("keydiff:0.5") });
      await state.prefill(prompt);
      const { pieces } = state.save("weights");
      const loaded = await lm.loadState(bytesSource(Buffer.concat(pieces)), "weights");
      const copy = state.copy();
      const expected = await state.decode(7);
      expect(await loaded.decode(7)).toEqual(expected);
      expect(copy.length).toBe(41);
      expect(await copy.decode(7)).toEqual(expected);
      expect(() => loaded.truncate(40)).toThrow(/policies have dropped tokens/);
    }));

  it("looks at the queries of a whole prompt, whatever its pieces", () =>
    withPolicies(async (lm) => {
      const lengths: number[] = [];
      const look: Policy = {
        name: "look",
        action: "drop",
        needs: { queries: 1000, attention: 8 },
        afterPrefill({ heads, ids }) {
          lengths.push(heads[0]!.queries!.length / 2 / 16, heads[0]!.attention!.length / 2 / 41, ids!.length);
          return undefined;
        },
      };
      await lm.createState({ cache: [look] }).prefill(prompt);
      expect(lengths).toEqual([41, 8, 41, 41, 8, 41]);
    }));

  it.each([
    ["fp32", 1e-6],
    // Rows are of float16, sums of float32.
    ["fp16", 2e-3],
  ] as const)("sums attention from run to run, whatever tokens go (%s)", async (dtype, tolerance) => {
    const checkpoint = await syntheticCheckpoint({ config });
    const source = await exportModel(checkpoint, { dtype, form: "policy", maxPositions: 128 });
    await withPolicies(async (lm) => {
      const { policy, seen } = summingRows();
      const state = lm.createState({ cache: [policy] });
      for (const end of [16, 32, 41]) await state.prefill(prompt.slice(state.length, end));
      state.compress(parsePolicies("observed:0.5"));
      await state.prefill(tokensOf(7));
      expect(state.heldTokens[0]).toEqual([27, 27]);
      expect(new Set(seen.queries)).toEqual(new Set([16, 32, 41, 48]));
      expect(seen.worst).toBeLessThan(tolerance);
    }, source);
  });

  it("sums the attention of as many tokens as are asked for, over several chunks", () =>
    withModel(model, async (session) => {
      const sums: Float32Array[] = [];
      const note: Policy = {
        name: "note",
        action: "drop",
        needs: { attentionSums: 20 },
        afterPrefill: ({ heads }) => {
          expect(heads[1]!.attentionSums!.queries).toBe(20);
          sums.push(heads[1]!.attentionSums!.sums);
          return undefined;
        },
      };
      for (const prefillChunk of [64, 16])
        await createCausalLM(session, { prefillChunk })
          .createState({ cache: [note] })
          .prefill(prompt);
      const [whole, chunks] = [sums.slice(0, 2), sums.slice(2)];
      for (const [layer, own] of chunks.entries())
        for (const [at, sum] of own.entries()) expect(sum).toBeCloseTo(whole[layer]![at]!, 5);
      const total = whole[0]!.reduce((sum, paid) => sum + paid, 0);
      // Each of 20 queries of two query heads pays 1 in all.
      expect(total).toBeCloseTo(40, 4);
    }));

  it("says what to do with a graph that was written before it gave out sums", () =>
    withModel(model, async (session) => {
      const outputs = session.outputs.filter(({ name }) => !name.startsWith("attention_sums."));
      const lm = createCausalLM({ ...session, outputs });
      expect(() => lm.createState({ cache: parsePolicies("observed:0.5") })).toThrow(
        /^createState: observed:0.5: expected a model that gives out the sums of attention that it looks at, found none in layer 0: the graph was written by an earlier version of kvfold: delete .*kvfold add-graphs FOLDER/,
      );
      expect(() => lm.createState({ cache: parsePolicies("tova:0.5") })).not.toThrow();
    }));

  it("shows how keys rotate, from the config and its scaling", () =>
    withModel(model, async (session) => {
      const scaled = { ...config, rope_scaling: { rope_type: "linear", factor: 4 } };
      const inverseFrequencies = rotaryFrequencies(readConfig(JSON.stringify(scaled)));
      const lm = createCausalLM(session, { inverseFrequencies });
      const seen: (Float64Array | undefined)[] = [];
      const look: Policy = {
        name: "look",
        action: "drop",
        afterPrefill: (layer) => void seen.push(layer.inverseFrequencies),
      };
      const state = lm.createState();
      await state.prefill(prompt);
      state.copy().compress([look]);
      // Heads of 16: theta^(-2j / 16), a quarter of it by the scaling.
      const expected = Array.from({ length: 8 }, (_, j) => 10_000 ** (-j / 8) / 4);
      expect(seen).toHaveLength(2);
      for (const frequencies of seen)
        for (const [j, value] of frequencies!.entries()) expect(value / expected[j]!).toBeCloseTo(1, 12);
    }));

  it("names the part and the item of a probe that has tokens beyond the vocabulary", () =>
    withPolicies(async (lm) => {
      const item = { context: prompt, question: [1], answer: [2, 3] };
      const probe = (change: object) => policyProbe(lm, [item, { ...item, ...change }], [[]]);
      // The last token of an answer is never run: its log likelihood would be NaN.
      await expect(probe({ answer: [2, 61] })).rejects.toThrow(
        /^policyProbe, answer of item 1: expected token ids from 0 below 61, found 61 at 1$/,
      );
      await expect(probe({ question: [-1] })).rejects.toThrow(/^policyProbe, question of item 1/);
      await expect(policyProbe(lm, [item], [[], parsePolicies("int8")])).rejects.toThrow(
        /^policyProbe: expected a graph whose cache is int8/,
      );
      const [[first], [second]] = (await probe({})) as [[PolicyScore], [PolicyScore]];
      expect(first).toEqual(second);
      expect(first.nll).toBeGreaterThan(0);
    }));

  it("refuses policies on other graphs, two of a kind, and what a policy cannot keep", async () => {
    const checkpoint = await syntheticCheckpoint({ config });
    const delta = await exportModel(checkpoint, { form: "delta", maxPositions: 128 });
    await withModel(delta, async (session) => {
      const lm = createCausalLM(session);
      expect(() => lm.createState({ cache: parsePolicies("keydiff:0.5") })).toThrow(
        /^createState: expected a policy graph/,
      );
      expect(() => lm.createState().copy()).toThrow(/^copy: expected a policy graph/);
      const act = () => lm.createState().compress(parsePolicies("keydiff:0.5"));
      expect(act).toThrow(/^compress: expected a policy graph/);
    });
    await withPolicies(async (lm) => {
      expect(() => lm.createState({ cache: parsePolicies("keydiff:0.5,knorm:0.5") })).toThrow(
        /both drop tokens/,
      );
      const broken = (change: HeadChange): Policy => ({
        name: "broken",
        action: "drop",
        afterPrefill: () => [change],
      });
      const state = lm.createState();
      await state.prefill(prompt);
      for (const change of [{ kept: Int32Array.of(3, 2) }, { dropped: Int32Array.of(40, 41) }])
        expect(() => state.compress([broken(change)])).toThrow(
          /^policy broken: expected indices below 41 in ascending order/,
        );
      expect(() => state.compress([...parsePolicies("keydiff:0.5"), ...parsePolicies("knorm:0.5")])).toThrow(
        /both drop tokens/,
      );
    });
  });

  it("goes back to none of the tokens of which some are gone when a policy fails midway", async () => {
    await withPolicies(async (lm) => {
      const failing: Policy = {
        name: "failing",
        action: "drop",
        afterPrefill({ layer, heads }) {
          if (layer === 1) throw new Error("no");
          return heads.map(() => ({ kept: Int32Array.of(0) }));
        },
      };
      const state = lm.createState();
      await state.prefill(prompt);
      expect(state.settled).toBe(0);
      expect(() => state.compress([failing])).toThrow("no");
      expect(state.settled).toBe(41);
      expect(() => state.truncate(20)).toThrow(/expected 0 or a length from 41/);
    });
  });

  it("drops joint latents by whole runs, and says what they do not give out", async () => {
    const fold = (attention: AttentionWeights) =>
      withJointLatent(attention, {
        span: 2,
        chunks: Array.from({ length: 8 }, (_, pair) => 2 ** Math.min(pair, 6)),
      });
    const joint = await exportModel(await syntheticCheckpoint({ config }), {
      fold,
      form: "policy",
      maxPositions: 256,
    });
    await withPolicies(async (lm) => {
      const state = lm.createState({ cache: parsePolicies("keydiff:0.5") });
      await state.prefill(tokensOf(210));
      // Of 105 tokens one run of 64 and the 18 after the third.
      expect(counts(state.heldTokens)).toEqual([82]);
      expect(() => lm.createState({ cache: parsePolicies("snapkv:0.5") })).toThrow(
        /gives out the attention .* found none in layer 0/,
      );
      expect(() => lm.createState({ cache: parsePolicies("keydiff:0.5,think:0.5") })).toThrow(
        /^createState: think:0.5: expected a model that gives out the queries/,
      );
      // Rounds latents, which are keys and values at once.
      const rounded = lm.createState({ cache: parsePolicies("decoquant:8") });
      await rounded.prefill(tokensOf(70));
      expect(counts(rounded.heldTokens)).toEqual([70]);
    }, joint);
  });
});
