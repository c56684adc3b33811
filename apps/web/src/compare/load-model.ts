import type { ModelFiles } from "../models/model-files.js";
import type { LoadedInfo, ModelAnswer, ModelRequest } from "./model-messages.js";
import type { RunningModel } from "./running-model.js";

/** A request before it gets its id. */
type Asked = ModelRequest extends infer R ? (R extends ModelRequest ? Omit<R, "id"> : never) : never;

/** Starts a worker and loads a model's files in it. */
export async function loadModel(files: ModelFiles): Promise<RunningModel> {
  const worker = new Worker(new URL("./model.worker.ts", import.meta.url), { type: "module" });
  const channel = openChannel(worker);
  try {
    const runtimeUrl = new URL("ort/", document.baseURI).href;
    const info = await channel.first<LoadedInfo>({ type: "load", files, runtimeUrl });
    return {
      ...info,
      generate: (prompt, maxNewTokens, signal) =>
        channel.tokens({ type: "generate", prompt, maxNewTokens }, signal),
      perplexity: (tokens) => channel.first<number>({ type: "perplexity", tokens }),
      dispose: async () => worker.terminate(),
    };
  } catch (error) {
    worker.terminate();
    throw error;
  }
}

function openChannel(worker: Worker) {
  const listeners = new Map<number, (answer: ModelAnswer) => void>();
  let ids = 0;
  worker.addEventListener("message", ({ data }: MessageEvent<ModelAnswer>) => listeners.get(data.id)?.(data));
  worker.addEventListener("error", ({ message }) => {
    for (const [id, listener] of listeners)
      listener({ id, type: "failed", message: message || "the worker could not start" });
  });
  const ask = (request: Asked, onAnswer: (answer: ModelAnswer) => void): number => {
    const id = ids++;
    listeners.set(id, onAnswer);
    worker.postMessage({ ...request, id });
    return id;
  };
  return {
    first: <T>(request: Asked) =>
      new Promise<T>((resolve, reject) => {
        const id = ask(request, (answer) => {
          listeners.delete(id);
          if (answer.type === "loaded") resolve(answer.info as T);
          else if (answer.type === "number") resolve(answer.value as T);
          else if (answer.type === "failed") reject(new Error(answer.message));
        });
      }),
    async *tokens(request: Asked, signal: AbortSignal): AsyncGenerator<number> {
      const answers: ModelAnswer[] = [];
      let wake = () => {};
      const id = ask(request, (answer) => {
        answers.push(answer);
        wake();
      });
      const stop = () => worker.postMessage({ id, type: "stop" } satisfies ModelRequest);
      signal.addEventListener("abort", stop);
      try {
        for (;;) {
          while (answers.length === 0) await new Promise<void>((resolve) => (wake = resolve));
          const answer = answers.shift()!;
          if (answer.type === "failed") throw new Error(answer.message);
          if (answer.type !== "token") return;
          yield answer.token;
        }
      } finally {
        signal.removeEventListener("abort", stop);
        listeners.delete(id);
      }
    },
  };
}
