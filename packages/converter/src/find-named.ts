import { ConverterError } from "./converter-error.js";

interface Named {
  readonly name: string;
}

/**
 * The entry of that name among those of a registry and `others`, which the caller brings; `kind` is the option that the
 * name was given with.
 *
 * @throws {ConverterError} `invalid-option` when there is none, or when one of `others` has the name of another entry.
 */
export function findNamed<T extends Named>(
  kind: string,
  registry: readonly T[],
  name: string,
  others: readonly T[] = [],
): T {
  for (const other of others) requireOwnName(kind, registry, other);
  const all = [...registry, ...others];
  const found = all.find((candidate) => candidate.name === name);
  if (found !== undefined) return found;
  const known = all.map((candidate) => candidate.name).join(", ");
  throw new ConverterError(
    "invalid-option",
    `${kind} ${JSON.stringify(name)} is unknown; choose one of ${known}, or give your own in ${kind}s`,
    { option: kind },
  );
}

/**
 * Refuses an entry that has the name of another one in the registry: plans hold names, so a fold would take the wrong
 * one.
 *
 * @throws {ConverterError} `invalid-option`.
 */
export function requireOwnName<T extends Named>(kind: string, registry: readonly T[], entry: T): T {
  if (registry.every((known) => known === entry || known.name !== entry.name)) return entry;
  throw new ConverterError(
    "invalid-option",
    `${kind} ${JSON.stringify(entry.name)}: a ${kind} of this package has that name; give yours another`,
    { option: kind },
  );
}
