import { afterEach, beforeEach, vi } from "vitest";

/** A library never logs: any `console` call while a test runs fails that test. */
const methods = ["log", "info", "warn", "error", "debug"] as const;

beforeEach(() => {
  for (const method of methods) vi.spyOn(console, method);
});

afterEach(() => {
  const calls = methods.flatMap((method) =>
    vi.mocked(console[method]).mock.calls.map((args) => `console.${method}(${args.map(String).join(", ")})`),
  );
  vi.restoreAllMocks();
  if (calls.length > 0)
    throw new Error(`expected no console output during a test, found:\n${calls.join("\n")}`);
});
