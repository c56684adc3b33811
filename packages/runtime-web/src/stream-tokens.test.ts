import { describe, expect, it } from "vitest";
import { streamTokens } from "./stream-tokens.js";
import type { WorkerConnection } from "./worker-connection.js";

/** A connection to a worker that reports these tokens and ends. */
const connectionOf = (tokens: readonly number[]): WorkerConnection =>
  ({
    call: async (_name: string, _input: unknown, { onReport }: { onReport: (token: number) => void }) => {
      for (const token of tokens) onReport(token);
      return "stop-token";
    },
  }) as unknown as WorkerConnection;

describe("streamTokens", () => {
  it("says after the loop why the worker ended", async () => {
    const generation = streamTokens(connectionOf([3, 1, 2]), [7], {});
    const tokens: number[] = [];
    for await (const token of generation) tokens.push(token);
    expect(tokens).toEqual([3, 1, 2]);
    expect(generation.finishReason).toBe("stop-token");
  });
});
