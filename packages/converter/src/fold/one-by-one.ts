/** What `make` gives for each item, one after the other: each may take much memory. */
export async function oneByOne<T, U>(
  items: readonly T[],
  make: (item: T) => Promise<U>,
): Promise<readonly U[]> {
  const made: U[] = [];
  for (const item of items) made.push(await make(item));
  return made;
}
