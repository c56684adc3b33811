/** Lets `work` go on unobserved until it is awaited: a failure is reported then, and not as an unhandled one before. */
export function inBackground<T>(work: Promise<T>): Promise<T> {
  work.catch(() => {});
  return work;
}
