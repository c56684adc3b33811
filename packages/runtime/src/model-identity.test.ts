import { createHash } from "node:crypto";
import { bytesSource } from "@kvfold/safetensors";
import { expect, it, vi } from "vitest";
import { modelIdentity } from "./index.js";

const graph = bytesSource(Uint8Array.of(1, 2, 3));
const sha256 = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest("hex");

it("is the SHA-256 of the hashes of all files, as node:crypto has it, in whatever order they are named", async () => {
  const large = new Uint8Array(16 * 2 ** 20 + 5).fill(7);
  const files = [
    ["b", bytesSource(large)],
    ["a", bytesSource(new Uint8Array(2))],
  ] as const;
  const parts = `${sha256(large.subarray(0, 2 ** 24))} ${sha256(large.subarray(2 ** 24))}`;
  const lines = [
    sha256(Uint8Array.of(1, 2, 3)),
    `["a",2,"${sha256(new Uint8Array(2))}"]`,
    `["b",${large.length},"${parts}"]`,
  ];
  expect(await modelIdentity(graph, new Map(files))).toBe(sha256(lines.join("\n")));
  expect(await modelIdentity(graph, new Map(files.toReversed()))).toBe(sha256(lines.join("\n")));
});

it("differs with one byte in the middle of the weights", async () => {
  const weights = new Uint8Array(300_000);
  const before = await modelIdentity(graph, new Map([["w", bytesSource(weights)]]));
  weights[150_000] = 1;
  expect(await modelIdentity(graph, new Map([["w", bytesSource(weights)]]))).not.toBe(before);
});

it("says where there is no Web Crypto", async () => {
  vi.stubGlobal("crypto", undefined);
  await expect(modelIdentity(graph, new Map())).rejects.toMatchObject({ code: "runtime-missing" });
  vi.unstubAllGlobals();
});
