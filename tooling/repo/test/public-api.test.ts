import { join } from "node:path";
import { expect, it } from "vitest";
import { packages, root } from "../src/workspace";

/** Every entry of every package with the file of its source; those without are scripts that threads run. */
const entries = packages.flatMap(({ folder, manifest }) =>
  Object.entries(manifest.exports ?? {}).flatMap(([path, target]) => {
    const source = typeof target === "string" ? undefined : target["@kvfold/source"];
    return source === undefined
      ? []
      : [{ name: join(manifest.name, path), file: join(root, folder, source) }];
  }),
);

it("no package gains or loses an export unseen (`pnpm vitest run --project repo --update` to accept)", async () => {
  const listed = await Promise.all(
    entries.map(async ({ name, file }) => {
      const names = Object.keys((await import(/* @vite-ignore */ file)) as object).toSorted();
      return [name, ...names.map((exported) => `  ${exported}`)].join("\n");
    }),
  );
  await expect(`${listed.join("\n\n")}\n`).toMatchFileSnapshot("./public-api.txt");
});
