import { randomUUID } from "node:crypto";
import type { ServerResponse } from "node:http";
import type { FinishReason } from "@kvfold/runtime";
import { type AnswerHead, type AnswerShape, finishName } from "./answers.js";
import type { Engine, GenerationJob } from "./engine.js";
import { errorBody, HttpError } from "./http-error.js";
import type { GenerationRequest } from "./read-request.js";
import { sendError, sendJson } from "./send-json.js";

/** A request that is understood: what to continue, and in which shape to answer. */
export interface Answering {
  readonly request: GenerationRequest;
  readonly prompt: readonly number[];
  readonly shape: AnswerShape;
  readonly model: string;
  /** Tokens at most, where the request asks for more or names none. */
  readonly maxNewTokens: number;
  readonly timeoutSeconds: number;
}

/** Seeds of requests that name none. */
const SEEDS = 2 ** 32;

/** Continues a prompt and answers as the tokens come, or at the end. A client that goes away ends the generation. */
export function answerGeneration(engine: Engine, response: ServerResponse, answering: Answering): void {
  const { request, prompt, timeoutSeconds, maxNewTokens } = answering;
  const answer = request.isStream ? streamedAnswer(response, answering) : wholeAnswer(response, answering);
  let isOver = false;
  const end = (work: () => void) => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    if (!response.destroyed) work();
  };
  const timer = setTimeout(
    () => end(() => answer.fail(new HttpError(503, `the answer took more than ${timeoutSeconds} seconds`))),
    timeoutSeconds * 1000,
  );
  response.on("close", () => end(() => {}));
  const job: GenerationJob = {
    prompt,
    sampling: { temperature: request.temperature, topK: request.topK, topP: request.topP },
    seed: request.seed ?? Math.floor(Math.random() * SEEDS),
    maxNewTokens: Math.min(request.maxNewTokens ?? maxNewTokens, maxNewTokens),
    stop: request.stop,
    isCancelled: () => isOver,
    onText: (text) => {
      if (!isOver) answer.push(text);
    },
    onEnd: (reason, tokens) => end(() => answer.end(reason, tokens)),
    onError: (error) => end(() => answer.fail(toHttpError(error))),
  };
  engine.submit(job);
}

/** What went wrong in the model is nothing for strangers to read. */
const toHttpError = (error: unknown): HttpError =>
  error instanceof HttpError ? error : new HttpError(500, "the model failed at this prompt");

/** Where an answer goes. */
interface Answer {
  push(text: string): void;
  end(reason: FinishReason | "stop-text", tokens: number): void;
  fail(error: HttpError): void;
}

const headOf = ({ shape, model }: Answering): AnswerHead => ({
  id: `${shape.idPrefix}${randomUUID()}`,
  created: Math.floor(Date.now() / 1000),
  model,
});

function wholeAnswer(response: ServerResponse, answering: Answering): Answer {
  const { shape, prompt } = answering;
  let text = "";
  return {
    push(piece) {
      text += piece;
    },
    end(reason, tokens) {
      const usage = { prompt: prompt.length, completion: tokens };
      sendJson(response, 200, shape.whole(headOf(answering), text, finishName(reason), usage));
    },
    fail: (error) => sendError(response, error),
  };
}

/** Server-sent events. */
function streamedAnswer(response: ServerResponse, answering: Answering): Answer {
  const { shape, prompt, request } = answering;
  const head = headOf(answering);
  const send = (value: object) => response.write(`data: ${JSON.stringify(value)}\n\n`);
  const begin = () => {
    if (response.headersSent) return;
    response.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    });
    for (const value of shape.first(head)) send(value);
  };
  return {
    push(piece) {
      begin();
      send(shape.piece(head, piece));
    },
    end(reason, tokens) {
      begin();
      send(shape.last(head, finishName(reason)));
      if (request.includesUsage) send(shape.usage(head, { prompt: prompt.length, completion: tokens }));
      response.end("data: [DONE]\n\n");
    },
    fail(error) {
      if (!response.headersSent) return sendError(response, error);
      send(errorBody(error));
      response.end();
    },
  };
}
