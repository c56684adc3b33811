/** Does work when all that was asked for before is done, whether that succeeded or not. */
export type WorkQueue = <T>(work: () => Promise<T>) => Promise<T>;

/** A queue with nothing in it. */
export function createWorkQueue(): WorkQueue {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = result.catch(() => {});
    return result;
  };
}
