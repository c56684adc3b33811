import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AnswerShape, chatAnswers, textAnswers } from "./answers.js";
import type { Engine } from "./engine.js";
import { answerGeneration } from "./generation-answer.js";
import { HttpError } from "./http-error.js";
import type { PromptReader } from "./prompt-reader.js";
import { readJsonBody } from "./read-body.js";
import { type GenerationRequest, readChatRequest, readCompletionRequest } from "./read-request.js";
import { sendError, sendJson } from "./send-json.js";

/** What a server takes of its clients. */
export interface ServeLimits {
  /** Of a request's body. */
  readonly maxBodyBytes: number;
  /** Tokens of an answer. */
  readonly maxNewTokens: number;
  /** Requests that wait for their turn. */
  readonly maxQueue: number;
  /** From request to the end of its answer. */
  readonly timeoutSeconds: number;
}

export declare namespace createApiServer {
  interface Options {
    readonly engine: Engine;
    readonly prompts: PromptReader;
    /** What the model is called. */
    readonly model: string;
    readonly limits: ServeLimits;
    /** Names under which clients may know the server; any unless given. */
    readonly hostNames?: readonly string[] | undefined;
  }
  /** What is served; nothing while it is being opened. */
  type Served = () => Options | undefined;
}

/** Headers have to be there soon: a client that sends them drop by drop holds a connection. */
const HEADERS_SECONDS = 10;
const BODY_SECONDS = 30;
const IDLE_SECONDS = 5;
const MAX_CONNECTIONS = 1024;
const MAX_HEADERS = 100;

/**
 * An HTTP server with an OpenAI-compatible API: `/v1/chat/completions`, `/v1/completions`, `/v1/models` and `/health`. It keeps
 * nothing of what it is sent or answers. While there is nothing to serve yet, requests get status 503.
 */
export function createApiServer(served: createApiServer.Served): Server {
  const server = createServer(
    {
      headersTimeout: HEADERS_SECONDS * 1000,
      requestTimeout: BODY_SECONDS * 1000,
      keepAliveTimeout: IDLE_SECONDS * 1000,
      connectionsCheckingInterval: 1000,
    },
    (request, response) => void answer(request, response, served),
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.maxHeadersCount = MAX_HEADERS;
  return server;
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  served: createApiServer.Served,
): Promise<void> {
  response.on("error", () => {});
  try {
    await route(request, response, requireServed(served));
  } catch (error) {
    sendError(response, error instanceof HttpError ? error : new HttpError(500, "the request failed"));
  }
}

function requireServed(served: createApiServer.Served): createApiServer.Options {
  const options = served();
  if (options !== undefined) return options;
  throw new HttpError(503, "the model is still being opened; try again soon", {
    headers: { "retry-after": "1" },
  });
}

type Handler = (
  request: IncomingMessage,
  response: ServerResponse,
  options: createApiServer.Options,
) => unknown;

/** How an endpoint reads what it is sent, and answers. */
interface Endpoint<R extends GenerationRequest> {
  readonly read: (body: unknown, model: string) => R;
  readonly promptOf: (request: R, prompts: PromptReader) => readonly number[];
  readonly shape: AnswerShape;
}

/** Continues what a request gives as its prompt. */
const continuing =
  <R extends GenerationRequest>({ read, promptOf, shape }: Endpoint<R>): Handler =>
  async (incoming, response, options) => {
    const { engine, prompts, model, limits } = options;
    const { maxBodyBytes, maxNewTokens, timeoutSeconds } = limits;
    const request = read(await readJsonBody(incoming, maxBodyBytes), model);
    requirePlace(options);
    const prompt = promptOf(request, prompts);
    const answering = { request, prompt, shape, model, maxNewTokens, timeoutSeconds };
    answerGeneration(engine, response, answering);
  };

/** What is at each path. */
const routes: Readonly<Record<string, { readonly method: "GET" | "POST"; readonly handle: Handler }>> = {
  "/health": { method: "GET", handle: (_, response, options) => sendJson(response, 200, healthOf(options)) },
  "/v1/models": {
    method: "GET",
    handle: (_, response, options) => sendJson(response, 200, modelsOf(options)),
  },
  "/v1/chat/completions": {
    method: "POST",
    handle: continuing({
      read: readChatRequest,
      promptOf: ({ messages }, prompts) => prompts.chat(messages),
      shape: chatAnswers,
    }),
  },
  "/v1/completions": {
    method: "POST",
    handle: continuing({
      read: readCompletionRequest,
      promptOf: ({ prompt }, prompts) => prompts.text(prompt),
      shape: textAnswers,
    }),
  },
};

async function route(
  request: IncomingMessage,
  response: ServerResponse,
  options: createApiServer.Options,
): Promise<void> {
  requireHost(request, options.hostNames);
  const path = pathOf(request);
  const found = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (found === undefined)
    throw new HttpError(404, `there is nothing here; try ${Object.keys(routes).join(", ")}`);
  if (request.method !== found.method)
    throw new HttpError(405, `expected ${found.method}`, { headers: { allow: found.method } });
  await found.handle(request, response, options);
}

/**
 * A page of another site may have its own name lead to this machine, and its script would then be of the same site: such
 * requests come under that name.
 */
function requireHost({ headers }: IncomingMessage, names: readonly string[] | undefined): void {
  if (names === undefined) return;
  const name = (headers.host ?? "").replace(/:\d+$/, "").toLowerCase();
  if (!names.includes(name)) throw new HttpError(403, "this server is for programs on its own machine");
}

function pathOf({ url = "" }: IncomingMessage): string {
  try {
    return new URL(url, "http://here").pathname;
  } catch {
    throw new HttpError(400, "the address cannot be read");
  }
}

const healthOf = ({ engine, model }: createApiServer.Options) => ({
  status: "ok",
  model,
  active: engine.active,
  waiting: engine.waiting,
  cacheBytes: engine.cacheBytes,
});

const modelsOf = ({ model }: createApiServer.Options) => ({
  object: "list",
  data: [{ id: model, object: "model", created: 0, owned_by: "kvfold" }],
});

function requirePlace({ engine, limits }: createApiServer.Options): void {
  if (engine.waiting < limits.maxQueue) return;
  throw new HttpError(429, "too many requests wait already; try again later", {
    headers: { "retry-after": "1" },
  });
}
