import { describe, expect, it } from "vitest";
import type { GeneratedToken } from "./protocol.js";
import { streamTokens } from "./stream-tokens.js";
import type { WorkerConnection } from "./worker-connection.js";

/** A connection to a worker that reports these tokens and ends. */
const connectionOf = (tokens: readonly number[]): WorkerConnection =>
  ({
    call: async (
      _name: string,
      _input: unknown,
      { onReport }: { onReport: (report: GeneratedToken) => void },
    ) => {
      for (const [index, token] of tokens.entries()) onReport({ token, cacheBytes: 100 * index });
      return "stop-token";
    },
  }) as unknown as WorkerConnection;

describe("streamTokens", () => {
  it("says after the loop why the worker ended", async () => {
    const generation = streamTokens(connectionOf([3, 1, 2]), [7], {
      onCacheBytes: (bytes) => void seen.push(`${bytes} bytes`),
    });
    const seen: (number | string)[] = [];
    for await (const token of generation) seen.push(token);
    expect(seen).toEqual(["0 bytes", 3, "100 bytes", 1, "200 bytes", 2]);
    expect(generation.finishReason).toBe("stop-token");
  });
});
