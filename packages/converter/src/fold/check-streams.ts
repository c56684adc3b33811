import { readsOf, type Step, writesOf } from "./step.js";
import { type Stream, streamName } from "./stream.js";

/**
 * Checks the order of steps by the streams that they read and write; `given` are there from the start.
 *
 * @throws {Error} when a step reads a stream that nothing before it wrote, or overwrites one that a later step still reads:
 * mistakes in a schedule, which no input of a fold can cause.
 */
export function checkStreams(steps: readonly Step[], given: readonly Stream[]): void {
  const held = new Set(given.map(streamName));
  for (const [index, step] of steps.entries()) {
    for (const name of readsOf(step).map(streamName))
      if (!held.has(name)) throw mistake(step, `reads "${name}", which no step before it writes`);
    for (const name of writesOf(step).map(streamName)) {
      if (held.has(name)) refuseOverwriting(step, name, steps.slice(index + 1));
      held.add(name);
    }
  }
}

function refuseOverwriting(step: Step, name: string, later: readonly Step[]): void {
  const reader = later.find((candidate) => readsOf(candidate).map(streamName).includes(name));
  if (reader === undefined) return;
  throw mistake(step, `overwrites "${name}", which "${reader.name}" of block ${reader.layer} still reads`);
}

const mistake = ({ name, layer }: Step, problem: string): Error =>
  new Error(`step "${name}" of block ${layer} ${problem}`);
