import { type GraphRun, readsOf, type Step, type Streams } from "./step.js";
import { streamName } from "./stream.js";

/**
 * The lists of steps without what nobody uses: writes that no later step reads, and steps that then neither write nor
 * measure nor solve anything. The lists are in the order in which they are worked through.
 */
export function neededSteps(lists: readonly (readonly Step[])[]): readonly (readonly Step[])[] {
  const wanted = new Set<string>();
  return lists
    .toReversed()
    .map((steps) => neededOf(steps, wanted))
    .toReversed();
}

/** The same for one list, with the streams that are read after it. Adds to them what this list reads. */
function neededOf(steps: readonly Step[], wanted: Set<string>): readonly Step[] {
  const needed: Step[] = [];
  for (const full of steps.toReversed()) {
    const step = withoutUnread(full, wanted);
    if (step.solve === undefined && (step.run === undefined || isIdle(step.run))) continue;
    for (const stream of readsOf(step)) wanted.add(streamName(stream));
    needed.push(step);
  }
  return needed.toReversed();
}

function withoutUnread({ run, ...step }: Step, wanted: ReadonlySet<string>): Step {
  if (run === undefined) return step;
  const read = Object.entries(run.writes).filter(([, stream]) => wanted.has(streamName(stream)));
  return { ...step, run: { ...run, writes: Object.fromEntries(read) satisfies Streams } };
}

const isIdle = ({ taps = [], writes }: GraphRun): boolean =>
  taps.length === 0 && Object.keys(writes).length === 0;
