import type { Dtype } from "@kvfold/decoder";
import { signal } from "@preact/signals";
import type { PickedFolder } from "../models/dropped-folder.js";
import { demoUrl } from "../models/embedded-model.js";
import { messageOf } from "../ui/format.js";
import type { Fit, FitQuestion } from "./calculate-fit.js";

/** The model that is asked about. */
interface Subject {
  readonly name: string;
  /** The text of its `config.json`. */
  readonly config: string;
}

export type FitState =
  | { readonly kind: "calculating" }
  | { readonly kind: "failed"; readonly message: string }
  | { readonly kind: "done"; readonly name: string; readonly question: FitQuestion; readonly fit: Fit };

export const fitState = signal<FitState>({ kind: "calculating" });

const GIB = 2 ** 30;

/** What is asked; fields of the form. */
export const fitForm = {
  asks: signal<"memory" | "context">("memory"),
  gibibytes: signal(2),
  tokens: signal(32_768),
  dtype: signal<Dtype>("fp16"),
};

let subject: Subject | undefined;
/** Answers that come late say nothing any more. */
let latest = 0;

export const fitFolder = ({ name, files }: PickedFolder): Promise<void> =>
  fitSubject(async () => ({ name, config: await files.get("config.json")!.text() }));

export const fitEmbedded = (): Promise<void> =>
  fitSubject(async () => {
    const answer = await fetch(demoUrl("prose-6m/config.json"));
    return { name: "prose-6m", config: await answer.text() };
  });

/** Reads the config of a model on the Hub, and nothing else. */
export const fitHubModel = (name: string): Promise<void> =>
  fitSubject(async () => {
    const { fetchHubConfig } = await import("../hub/fetch-hub-config.js");
    return { name, config: await fetchHubConfig(name) };
  });

/** Calculates again, for another question. */
export const fitAgain = (): Promise<void> => {
  const known = subject;
  return known === undefined ? Promise.resolve() : fitSubject(async () => known);
};

async function fitSubject(find: () => Promise<Subject>): Promise<void> {
  const turn = ++latest;
  const show = (state: FitState) => {
    if (turn === latest) fitState.value = state;
  };
  try {
    const [found, { calculateFit }] = await Promise.all([find(), import("./calculate-fit.js")]);
    if (turn === latest) subject = found;
    const question = readQuestion();
    show({ kind: "done", name: found.name, question, fit: calculateFit(found.config, question) });
  } catch (error) {
    show({ kind: "failed", message: messageOf(error) });
  }
}

export function readQuestion(): FitQuestion {
  const { asks, gibibytes, tokens, dtype } = fitForm;
  const limit = asks.value === "memory" ? { memory: gibibytes.value * GIB } : { context: tokens.value };
  return { limit, dtype: dtype.value };
}
