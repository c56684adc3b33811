interface Key {
  readonly task: string;
  readonly length: number;
}

/** Items of one task and length. */
interface Group<Item extends Key> extends Key {
  readonly items: readonly Item[];
}

/** Groups items by task, in the order in which tasks first come, and by length from short to long. */
export function groupItems<Item extends Key>(items: readonly Item[]): readonly Group<Item>[] {
  const tasks = [...new Set(items.map(({ task }) => task))];
  const lengths = [...new Set(items.map(({ length }) => length))].sort((a, b) => a - b);
  return tasks
    .flatMap((task) => lengths.map((length) => groupOf(items, task, length)))
    .filter((group) => group.items.length > 0);
}

const groupOf = <Item extends Key>(items: readonly Item[], task: string, length: number): Group<Item> => ({
  task,
  length,
  items: items.filter((item) => item.task === task && item.length === length),
});

/** At most `limit` items of each task and length, taken at even distances, in the order of the file. */
export function limitItems<Item extends Key>(items: readonly Item[], limit: number): readonly Item[] {
  const taken = new Set(groupItems(items).flatMap((group) => evenlySpaced(group.items, limit)));
  return items.filter((item) => taken.has(item));
}

const evenlySpaced = <T>(items: readonly T[], count: number): readonly T[] =>
  items.length <= count
    ? items
    : Array.from({ length: count }, (_, index) => items[Math.floor((index * items.length) / count)]!);
