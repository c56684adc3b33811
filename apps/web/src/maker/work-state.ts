import { signal } from "@preact/signals";
import { messageOf } from "../ui/format.js";
import { CANCELLED, type RunningWork, startWork, WorkError } from "./start-work.js";
import type { WorkName, Works } from "./works.js";

/** How the user ends a work: with nothing, or with what it has so far. */
export type Ending = "cancel" | "enough";

/** What the page is making, one work at a time. */
export type WorkState =
  | { readonly kind: "idle" }
  | {
      readonly kind: "running";
      readonly label: string;
      readonly share: number;
      readonly ending: Ending;
    }
  | { readonly kind: "failed"; readonly message: string }
  | { readonly kind: "done"; readonly message: string };

export const workState = signal<WorkState>({ kind: "idle" });

let running: RunningWork<unknown> | undefined;
/** Also between two runs of a work, when there is no worker to end. */
let isEnded = false;

/** Works on models and shows what the work comes to; a failure keeps what was there before. */
export async function atWork(ending: Ending, work: () => Promise<string>): Promise<void> {
  workState.value = { kind: "running", label: "reading text", share: 0, ending };
  isEnded = false;
  try {
    workState.value = { kind: "done", message: await work() };
  } catch (error) {
    workState.value =
      error instanceof WorkError && error.code === CANCELLED.code
        ? { kind: "idle" }
        : { kind: "failed", message: messageOf(error) };
  } finally {
    running = undefined;
  }
}

/** Shows how far the work is. */
export function showStep(label: string, share: number): void {
  const state = workState.value;
  if (state.kind === "running" && !isEnded) workState.value = { ...state, label, share };
}

/** Does a part of the work in a worker. */
export async function runWork<Name extends WorkName>(
  name: Name,
  request: Works[Name]["request"],
  onNews: (news: Works[Name]["news"]) => void,
): Promise<Works[Name]["result"]> {
  if (isEnded) throw new WorkError(CANCELLED);
  const work = startWork(name, request, onNews);
  running = work;
  return work.result;
}

/** Ends what is under way, in the way that it asked for. */
export function endWork(): void {
  const state = workState.value;
  if (state.kind !== "running") return;
  if (state.ending === "enough") showStep("stopping with the best so far", state.share);
  isEnded = true;
  running?.[state.ending]();
}

/** Where ONNX Runtime's files are. */
export const runtimeUrl = (): string => new URL("ort/", document.baseURI).href;
