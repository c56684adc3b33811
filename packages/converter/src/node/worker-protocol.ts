import type { BlockTasks } from "../fold/block-math.js";

/** What a thread for linear algebra is started with. */
export interface WorkerInput {
  /** Memory of a flag, a 32-bit integer: set to 1, tasks end at their next product. */
  readonly abort: SharedArrayBuffer;
}

/** A task on its way to the worker. */
export interface TaskRequest {
  readonly id: number;
  readonly task: keyof BlockTasks;
  readonly input: Parameters<BlockTasks[keyof BlockTasks]>[0];
}

/** Tells the thread to end when it has done what it was given. */
export const END = "end";

/** What became of it. */
export type TaskReply =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly failure: TaskFailure };

/** An error as data: its class does not survive the way between threads. */
export interface TaskFailure {
  readonly message: string;
  readonly stack: string | undefined;
  /** Name, code and whatever else it has that is plain. */
  readonly fields: Readonly<Record<string, string | number | boolean>>;
  /** Names of the global symbols by which packages know their errors, e.g. `kvfold.linalg.error`. */
  readonly marks: readonly string[];
  readonly cause: TaskFailure | undefined;
}

/** Causes of causes that are kept: a chain that goes on and on could be a circle. */
const MAX_CAUSES = 8;

/** An error on its way out of the worker. */
export function describeFailure(error: unknown, depth = 0): TaskFailure {
  if (!(error instanceof Error)) return describeFailure(new Error(String(error)), depth);
  const { name, message, stack, cause } = error;
  return {
    message,
    stack,
    fields: { name, ...plainFields(error) },
    marks: Object.getOwnPropertySymbols(error).flatMap((symbol) => Symbol.keyFor(symbol) ?? []),
    cause: cause === undefined || depth === MAX_CAUSES ? undefined : describeFailure(cause, depth + 1),
  };
}

function plainFields(error: Error): TaskFailure["fields"] {
  const plain = Object.entries(error).filter(([, value]) =>
    ["string", "number", "boolean"].includes(typeof value),
  );
  return Object.fromEntries(plain) as TaskFailure["fields"];
}

/**
 * The error again: with its name, fields, stack and cause, and with the marks by which `isInstance` of its class knows
 * it. It is no `instanceof` of that class.
 */
export function reviveFailure({ message, stack, fields, marks, cause }: TaskFailure): Error {
  const error = new Error(message, cause && { cause: reviveFailure(cause) });
  Object.defineProperty(error, "stack", { value: stack, writable: true, configurable: true });
  for (const mark of marks) Object.defineProperty(error, Symbol.for(mark), { value: true });
  return Object.assign(error, fields);
}
