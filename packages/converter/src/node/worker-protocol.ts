import { NumericalError, type NumericalErrorCode } from "@kvfold/linalg";
import { ConverterError, type ConverterErrorCode } from "../converter-error.js";
import type { BlockTasks } from "../fold/block-math.js";

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
  readonly name: string;
  readonly code: string | undefined;
  readonly message: string;
}

/** An error on its way out of the worker. */
export function describeFailure(error: unknown): TaskFailure {
  if (ConverterError.isInstance(error) || NumericalError.isInstance(error))
    return { name: error.name, code: error.code, message: error.message };
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return { name, code: undefined, message };
}

/** The error again, of the class that it had. */
export function reviveFailure({ name, code, message }: TaskFailure): Error {
  if (name === "ConverterError") return new ConverterError(code as ConverterErrorCode, message);
  if (name === "NumericalError") return new NumericalError(code as NumericalErrorCode, message);
  return new Error(message);
}
