/** `kvfold serve` from the outside: over HTTP, with a model that answers differently to each prompt. */
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { createRandom } from "@kvfold/runtime";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { foldCheckpoint } from "../src/jobs/fold.js";
import { generateText } from "../src/jobs/generate.js";
import { quietContext } from "../src/jobs/job.js";
import { serveModel } from "../src/jobs/serve.js";
import { createApiServer } from "../src/serve/http-server.js";
import { hostileBytes, hostileRequest } from "./hostile-requests.js";
import { failureOf, makeFolder, ROPE_MODEL, removeFolder } from "./support.js";

type Json = Record<string, unknown>;

const CHAT_TEMPLATE =
  "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}assistant:";
const limits = { maxBodyBytes: 20_000, maxNewTokens: 200, maxQueue: 8, timeoutSeconds: 60, maxBatch: 4 };

let root: string;
let model: string;
let url: string;
let stop: () => Promise<unknown>;

/** Starts a server; the function ends it. */
async function startServer(options: Partial<serveModel.Options> = {}) {
  const signal = { aborted: false };
  const job = { model, host: "127.0.0.1", port: 0, ...limits, ...options };
  let done: Promise<unknown>;
  const address = await new Promise<string>((resolve, reject) => {
    done = serveModel(job, { ...quietContext, signal, onText: resolve });
    done.catch(reject);
  });
  const end = () => {
    signal.aborted = true;
    return done;
  };
  return { url: address.trim(), end };
}

beforeAll(async () => {
  root = await makeFolder();
  model = join(root, "prose-6m");
  // Graphs, so that none has to be exported each time.
  await foldCheckpoint({ model: ROPE_MODEL, output: model, keep: "1" }, quietContext);
  const path = join(model, "tokenizer_config.json");
  const settings = JSON.parse(await readFile(path, "utf8")) as Json;
  await writeFile(path, JSON.stringify({ ...settings, chat_template: CHAT_TEMPLATE }));
  const server = await startServer();
  [url, stop] = [server.url, server.end];
});
afterAll(async () => {
  await stop();
  await removeFolder(root);
});

const post = (path: string, body: unknown, init: RequestInit = {}) =>
  fetch(`${url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...init,
  });
const health = async () => (await (await fetch(`${url}/health`)).json()) as Json;
const untilIdle = async () => {
  while ((await health()).active !== 0) await wait(20);
};

/** What `kvfold generate` makes of a prompt. */
const alone = async (prompt: string, maxNewTokens: number, chat?: { readonly system?: string }) =>
  (await generateText({ model, prompt, maxNewTokens, temperature: 0, chat }, quietContext)).text;

/** The events of a stream, without the last. */
async function eventsOf(response: Response): Promise<readonly Json[]> {
  const lines = (await response.text()).split("\n\n").filter((line) => line !== "");
  expect(lines.at(-1)).toBe("data: [DONE]");
  return lines.slice(0, -1).map((line) => JSON.parse(line.slice("data: ".length)) as Json);
}

const choiceOf = ({ choices }: Json): Json => (choices as readonly Json[])[0]!;

describe("completions", () => {
  it("of requests that come at different times are those of each prompt alone", async () => {
    const prompts = [
      "The captain looked",
      "It was",
      "She said that the old house by the river",
      "A dog and",
      "Once",
    ];
    const counts = [30, 12, 24, 8, 16];
    const answers = await Promise.all(
      prompts.map(async (prompt, index) => {
        await wait(40 * index);
        const body = { prompt, max_tokens: counts[index], temperature: 0 };
        return (await (await post("/v1/completions", body)).json()) as Json;
      }),
    );
    for (const [index, answer] of answers.entries()) {
      const text = await alone(prompts[index]!, counts[index]!);
      expect(choiceOf(answer)).toMatchObject({ text, finish_reason: "length" });
      expect(answer).toMatchObject({ object: "text_completion", model: "prose-6m" });
      expect(answer.usage).toMatchObject({ completion_tokens: counts[index] });
    }
    expect(await health()).toMatchObject({ status: "ok", active: 0, waiting: 0, cacheBytes: 0 });
  });

  it("stream as events, end before a stop text, and repeat with a seed", async () => {
    const prompt = "The captain looked";
    const text = await alone(prompt, 20);
    const word = text.trim().split(" ")[3]!;
    const body = {
      prompt,
      max_tokens: 20,
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
      stop: word,
    };
    const events = await eventsOf(await post("/v1/completions", body));
    const pieces = events.flatMap((event) => (event.choices as readonly Json[]).map((choice) => choice.text));
    expect(pieces.join("")).toBe(text.slice(0, text.indexOf(word)));
    expect(choiceOf(events.at(-2)!).finish_reason).toBe("stop");
    expect(events.at(-1)).toMatchObject({
      choices: [],
      usage: { prompt_tokens: expect.any(Number) as number },
    });
    const drawn = { prompt, max_tokens: 12, seed: 7, temperature: 1.2, top_p: 0.9, top_k: 50 };
    const [first, second] = await Promise.all(
      [1, 2].map(async () => (await post("/v1/completions", drawn)).json()),
    );
    expect(choiceOf(first as Json).text).toBe(choiceOf(second as Json).text);
  });
});

describe("chat completions", () => {
  it("put messages into the model's template", async () => {
    const messages = [
      { role: "system", content: "Be brief." },
      {
        role: "user",
        content: [
          { type: "text", text: "Who is " },
          { type: "text", text: "there?" },
        ],
      },
    ];
    const body = { model: "prose-6m", messages, max_completion_tokens: 10, temperature: 0 };
    const text = await alone("Who is there?", 10, { system: "Be brief." });
    const answer = (await (await post("/v1/chat/completions", body)).json()) as Json;
    expect(choiceOf(answer)).toMatchObject({ message: { role: "assistant", content: text } });
    const events = await eventsOf(await post("/v1/chat/completions", { ...body, stream: true }));
    const deltas = events.map((event) => choiceOf(event).delta as Json);
    expect(deltas[0]).toEqual({ role: "assistant", content: "" });
    expect(deltas.map(({ content = "" }) => content as string).join("")).toBe(text);
  });
});

describe("limits", () => {
  it("give back the cache of clients that go away", async () => {
    const leaving = new AbortController();
    const response = await post(
      "/v1/completions",
      { prompt: "Once", max_tokens: 200, stream: true },
      { signal: leaving.signal },
    );
    await response.body!.getReader().read();
    expect(Number((await health()).cacheBytes)).toBeGreaterThan(0);
    leaving.abort();
    await untilIdle();
    expect(await health()).toMatchObject({ active: 0, waiting: 0, cacheBytes: 0 });
  });

  it("refuse more requests than may wait", async () => {
    const many = Array.from({ length: 30 }, () =>
      post("/v1/completions", { prompt: "Once", max_tokens: 40, temperature: 0 }),
    );
    const statuses = (await Promise.all(many)).map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([200, 429]));
    // Four are decoded and eight wait; more may come in while the first are read.
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(8);
  });

  it("end answers that take too long, and all of them when the server ends", async () => {
    const server = await startServer({ timeoutSeconds: 0.2, maxNewTokens: 1000 });
    const ask = (stream: boolean) =>
      fetch(`${server.url}/v1/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ prompt: "Once", max_tokens: 900, stream, temperature: 0 }),
      });
    const [whole, streamed] = await Promise.all([ask(false), ask(true)]);
    expect(whole.status).toBe(503);
    expect(await streamed.text()).toMatch(
      /data: \{"error":\{"message":"the answer took more than 0.2 seconds"/,
    );
    await server.end();
    await expect(fetch(`${server.url}/health`)).rejects.toThrow("fetch failed");
  });

  it("refuse a port that is taken, before a model is opened", async () => {
    const port = Number(new URL(url).port);
    expect(await failureOf(startServer({ port, model: join(root, "none") }))).toMatchObject({
      code: "usage",
      message: expect.stringContaining("something else listens there") as string,
    });
  });
});

it("a server without a model yet says so", async () => {
  const server = createApiServer(() => undefined).listen(0, "127.0.0.1");
  await once(server, "listening");
  const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/health`);
  expect(response.status).toBe(503);
  expect(response.headers.get("retry-after")).toBe("1");
  expect(await response.json()).toMatchObject({
    error: { message: expect.stringContaining("opened") as string },
  });
  server.close();
  server.closeAllConnections();
});

describe("bad requests", () => {
  const refusals: readonly (readonly [string, () => Promise<Response>, number])[] = [
    ["an unknown path", () => fetch(`${url}/v1/files`), 404],
    ["another method", () => fetch(`${url}/v1/completions`), 405],
    ["another type", () => post("/v1/completions", "{}", { headers: { "content-type": "text/plain" } }), 415],
    ["no JSON", () => post("/v1/completions", "{"), 400],
    [
      "bytes that are no UTF-8",
      () => post("/v1/completions", "", { body: Uint8Array.of(34, 0xff, 34) }),
      400,
    ],
    ["a body that is too long", () => post("/v1/completions", "x".repeat(30_000)), 413],
    ["brackets without end", () => post("/v1/completions", "[".repeat(19_000)), 400],
    ["another model", () => post("/v1/completions", { model: "gpt-4", prompt: "a" }), 404],
    ["an empty prompt", () => post("/v1/chat/completions", { messages: [] }), 400],
    [
      "tools",
      () => post("/v1/chat/completions", { messages: [{ role: "user", content: "a" }], tools: [{}] }),
      400,
    ],
    ["a prompt that is too long", () => post("/v1/completions", { prompt: "word ".repeat(3000) }), 400],
    ["a token that is none", () => post("/v1/completions", { prompt: [1e9] }), 400],
  ];

  it.each(refusals)("%s", async (_, ask, status) => {
    const response = await ask();
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ error: { type: "invalid_request_error" } });
  });

  it("under another host's name", async () => {
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    socket.write("GET /health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1.1 403 /);
    socket.destroy();
  });

  // KVFOLD_FUZZ=10000 for more of them.
  const count = Number(process.env.KVFOLD_FUZZ ?? 200);
  it(`${count} hostile ones get clean answers`, { timeout: 60_000 + 100 * count }, async () => {
    const random = createRandom(11);
    const port = Number(new URL(url).port);
    const dirty: string[] = [];
    for (let index = 0; index < count; index++) {
      const found =
        index % 5 === 0
          ? await sendBytes(port, hostileBytes(random))
          : await sendRequest(hostileRequest(random));
      if (found !== undefined) dirty.push(`${index}: ${found}`);
    }
    expect(dirty).toEqual([]);
    await untilIdle();
    expect(await health()).toMatchObject({ status: "ok", active: 0, waiting: 0, cacheBytes: 0 });
  });
});

/** What is wrong with the answer to a request, if anything is. */
async function sendRequest({ path, init }: ReturnType<typeof hostileRequest>): Promise<string | undefined> {
  const response = await fetch(`${url}${path}`, init);
  const text = await response.text();
  const isClean = response.status === 200 ? text.length < 100_000 : isRefusal(response.status, text);
  return isClean
    ? undefined
    : `${response.status} ${text} for ${path} ${JSON.stringify(init.body).slice(0, 300)}`;
}

function isRefusal(status: number, text: string): boolean {
  const { error } = JSON.parse(text) as { readonly error?: { readonly message?: unknown } };
  return status >= 400 && status < 500 && typeof error?.message === "string";
}

/** What is wrong with the answer to bytes that may be no HTTP: a refusal, a short answer or nothing comes back. */
async function sendBytes(port: number, bytes: Buffer): Promise<string | undefined> {
  const socket = connect(port, "127.0.0.1");
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  socket.on("error", () => {});
  socket.end(bytes);
  await once(socket, "close");
  const answer = Buffer.concat(chunks).toString("latin1");
  const isClean = /^(?:HTTP\/1\.1 100 Continue\r\n\r\n)?(?:HTTP\/1\.1 (?:4\d\d|200) |$)/.test(answer);
  return isClean ? undefined : `${answer} for ${JSON.stringify(bytes.toString("latin1")).slice(0, 300)}`;
}
