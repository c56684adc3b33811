import { describe, expect, it } from "vitest";
import { inspectModel } from "../src/jobs/inspect.js";
import { quietContext } from "../src/jobs/job.js";
import { energySvg } from "../src/render/energy-svg.js";
import { renderInspection } from "../src/render/inspection.js";
import { tokenFile } from "../src/tokens/read-tokens.js";
import { ALIBI_MODEL, CALIBRATION_TOKENS, ROPE_MODEL } from "./support.js";

const calibration = { files: [tokenFile(CALIBRATION_TOKENS)], windows: 2, window: 256 };
const plain = { bold: (text: string) => text, dim: (text: string) => text, red: (text: string) => text };

/** Measured once: decompositions take seconds. */
let measuredOnce: Promise<inspectModel.Result> | undefined;
const measured = () => (measuredOnce ??= inspectModel({ model: ROPE_MODEL, calibration }, quietContext));

describe("inspectModel", () => {
  it("describes heads and cache", async () => {
    expect(await inspectModel({ model: ROPE_MODEL }, quietContext)).toEqual({
      path: ROPE_MODEL,
      kind: "checkpoint",
      family: "Llama",
      layers: 6,
      heads: 8,
      kvHeads: 8,
      headDim: 32,
      maxPositions: 1024,
      cache: { type: "float32", bytesPerToken: 12_288, bytesAtFullContext: 12_582_912 },
    });
  });

  it("measures energies that grow with the directions, before and after the rotation", async () => {
    const { energy } = await measured();
    expect(energy).toMatchObject({ fractions: [0.125, 0.25, 0.5], windows: 2, window: 256 });
    expect(energy!.layers).toHaveLength(6);
    for (const { keysBeforeRope, keys, values } of energy!.layers) {
      for (const [eighth, quarter, half] of [keysBeforeRope!, keys, values]) {
        expect(eighth!).toBeGreaterThan(0.125);
        expect(quarter!).toBeGreaterThan(eighth!);
        expect(half!).toBeGreaterThan(quarter!);
        expect(half!).toBeLessThanOrEqual(1);
      }
      // The rotation mixes directions that were apart: on these models the energy always spreads.
      expect(keysBeforeRope![0]!).toBeGreaterThan(keys[0]!);
    }
  });

  it("measures what latents lose: joint ones less than two, most where keys turn furthest", async () => {
    const result = await measured();
    const { layers, lost, chunk } = result.energy!;
    expect(chunk).toEqual({ least: 16, phase: 0.4 });
    for (const { keys, values, lost: own } of layers) {
      for (const [index, apart] of own.apart.entries()) {
        expect(apart).toBeCloseTo(1 - (keys[index]! + values[index]!) / 2, 12);
        expect(own.joint[index]!).toBeLessThan(apart);
        expect(own.unturned![index]!).toBeLessThan(own.joint[index]!);
      }
    }
    // As many KV heads as query heads: keys and values are functions of the same 256 numbers.
    expect(lost.unturned![2]).toBeLessThan(1e-3);
    const text = renderInspection(result, plain);
    expect(text).toMatch(/\nlayer {2}apart 12\.5% +25% +50% {2}joint 12\.5% .* {2}joint, chunk 1 12\.5% /);
    expect(text).toMatch(/\n {2}all {2}.* 0\.0 %$/);
  });

  it("prints what a folded model keeps of the original's cache", () => {
    const model = {
      path: "m",
      kind: "onnx",
      family: "llama",
      layers: 2,
      heads: 9,
      kvHeads: 1,
      headDim: 88,
    } as const;
    const cache = { type: "float32", bytesPerToken: 1408, bytesAtFullContext: 1408 } as const;
    const text = renderInspection(
      { ...model, maxPositions: 1, cache, kept: { keep: "1/3", achieved: 88 / 256 } },
      plain,
    );
    expect(text).toMatch(/\nkept of the original's {2,}1\/3: 34\.4 % \(3\.1 % more than asked: /);
  });

  it("leaves the rotation out where there is none", async () => {
    const result = await inspectModel({ model: ALIBI_MODEL, calibration }, quietContext);
    expect(result.energy!.layers.map(({ keysBeforeRope }) => keysBeforeRope)).toEqual(Array(6).fill(null));
    const headings = renderInspection(result, plain)
      .split("\n")
      .find((line) => line.startsWith("layer "))!;
    expect(headings).not.toContain("RoPE");
  });
});

describe("energySvg", () => {
  const lost = { apart: [0.15, 0.02], joint: [0.1, 0.01], unturned: [0.05, 0] };
  const energy = {
    fractions: [0.125, 0.5],
    windows: 2,
    window: 16,
    chunk: 8,
    lost,
    layers: [
      { layer: 0, keysBeforeRope: [0.5, 0.9], keys: [0.25, 0.75], values: [0.2, 0.6], lost },
      { layer: 1, keysBeforeRope: [0.5, 0.9], keys: [0.5, 1], values: [0.2, 0.6], lost },
    ],
  };

  it("draws a panel for each fraction and a line for each kind and each latent", () => {
    const svg = energySvg(energy, { title: "model" });
    expect(svg.match(/<polyline/g)).toHaveLength(12);
    expect(svg).toContain("top 12.5 % of directions");
    expect(svg).toContain("12.5 % of the cache kept");
    expect(svg).toContain("keys after RoPE");
    expect(svg).toContain("lost in a joint latent, chunk 1");
    // Layer 1 of 2 stands at three quarters of 260; a share of 1 at the top.
    expect(svg).toContain("195,0");
    // Losses of up to 15 % have an axis to 20 %: 0.1 stands in the middle of 220.
    expect(svg).toContain("65,110 195,110");
    expect(svg).not.toContain("<script");
  });

  it("escapes the title and draws keys alone where nothing rotates", () => {
    const still = { ...lost, unturned: null };
    const layers = energy.layers.map((layer) => ({ ...layer, keysBeforeRope: null, lost: still }));
    const svg = energySvg({ ...energy, lost: still, layers }, { title: '<b>&"' });
    expect(svg).toContain("&lt;b&gt;&amp;&quot;");
    expect(svg.match(/<polyline/g)).toHaveLength(8);
    expect(svg).not.toContain("RoPE");
  });
});
