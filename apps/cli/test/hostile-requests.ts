/** Requests that no honest client sends: fields of the wrong type, broken JSON, and bytes that are hardly HTTP. */
import type { Random } from "@kvfold/runtime";

const pick = <T>(random: Random, values: readonly T[]): T => values[Math.floor(random() * values.length)]!;

const PATHS = ["/v1/completions", "/v1/chat/completions"];

/** Values that are wrong almost everywhere. */
const VALUES: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  1,
  1.5,
  1e308,
  2 ** 53,
  "",
  "a",
  "\u0000\uD800\u202E",
  "𝕏".repeat(500),
  "a".repeat(5000),
  [],
  {},
  [[]],
  [null],
  [1, 2, 3],
  ["a", "b"],
  { role: "user" },
  [{ role: "user", content: null }],
  [{ role: "__proto__", content: "a" }],
  [{ role: "user", content: [{ type: "image_url", image_url: { url: "file:///etc/passwd" } }] }],
  [{ role: "assistant", content: "{{ 7 * 7 }}{% for i in range(1000000) %}x{% endfor %}" }],
  { constructor: { prototype: 1 } },
];
const FIELDS = [
  "model",
  "prompt",
  "messages",
  "max_tokens",
  "max_completion_tokens",
  "temperature",
  "top_p",
  "top_k",
  "seed",
  "stop",
  "stream",
  "stream_options",
  "n",
  "best_of",
  "logprobs",
  "logit_bias",
  "tools",
  "response_format",
  "frequency_penalty",
  "suffix",
  "echo",
  "__proto__",
  "toString",
];

/** A request that fetch can send. */
export function hostileRequest(random: Random): { readonly path: string; readonly init: RequestInit } {
  const fields: Record<string, unknown> = {
    prompt: "Once",
    messages: [{ role: "user", content: "Hello" }],
    max_tokens: 2,
  };
  for (let count = Math.floor(random() * 4); count >= 0; count--)
    Object.defineProperty(fields, pick(random, FIELDS), {
      value: pick(random, VALUES),
      enumerable: true,
      configurable: true,
    });
  // Answers stay short, where the request is taken after all.
  if (typeof fields.max_tokens !== "number" || fields.max_tokens > 2) fields.max_tokens = 2;
  const path = pick(
    random,
    random() < 0.9 ? PATHS : ["/", "/v1", "/v1/models/../../etc", "/%00", "/health?x=[]", "//"],
  );
  const json = JSON.stringify(fields);
  const body = random() < 0.7 ? json : mutate(json, random);
  const type =
    random() < 0.9
      ? "application/json"
      : pick(random, ["text/plain", "application/json; charset=utf-16", "x"]);
  const method = random() < 0.95 ? "POST" : pick(random, ["PUT", "DELETE", "PATCH"]);
  return { path, init: { method, headers: { "content-type": type }, body } };
}

/** Cuts, repeats or replaces a piece of a text. */
function mutate(text: string, random: Random): string {
  const at = Math.floor(random() * text.length);
  const end = at + Math.floor(random() * 20);
  const piece = pick(random, [
    "",
    "{",
    '"',
    "\\",
    "\u0000",
    "[[[[[[",
    "}}",
    "\\ud800",
    text.slice(at, end).repeat(30),
  ]);
  return text.slice(0, at) + piece + text.slice(end);
}

const LINES = [
  "POST /v1/completions HTTP/1.1",
  "GET /health HTTP/1.1",
  "GET  HTTP/9.9",
  "\u0000\u0001\u0002",
  "POST http://[::1/ HTTP/1.1",
];
const HEADERS = [
  "Host: localhost",
  "Host: localhost\r\nHost: evil",
  "Content-Length: 18446744073709551616",
  "Content-Length: -1",
  "Content-Length: 5",
  "Content-Length: 5\r\nTransfer-Encoding: chunked",
  "Transfer-Encoding: chunked",
  "Content-Type: application/json",
  "Expect: 100-continue",
  "Expect: something",
  "Upgrade: h2c\r\nConnection: Upgrade",
  `X: ${"a".repeat(20_000)}`,
  ": no name",
  "Bad\u0000Name: x",
];
const BODIES = ["", "{}", "{}{}{}", "zz\r\n{}", "5\r\n{}   \r\n0\r\n\r\n", "\r\n\r\nGET / HTTP/1.1\r\n\r\n"];

/** Bytes for a socket. */
export function hostileBytes(random: Random): Buffer {
  const headers = Array.from({ length: Math.floor(random() * 5) }, () => pick(random, HEADERS));
  return Buffer.from(
    [pick(random, LINES), ...headers, "Connection: close", "", pick(random, BODIES)].join("\r\n"),
    "latin1",
  );
}
