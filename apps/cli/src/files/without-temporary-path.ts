/**
 * Runs `work`; whatever it throws says `name` in the place of `path`, a temporary path that means nothing to the user and
 * is gone when the message is read.
 */
export async function withoutTemporaryPath<T>(
  { path, name }: { readonly path: string; readonly name: string },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // The error stays the same one, for its class and code matter.
    if (error instanceof Error) error.message = error.message.replaceAll(path, name);
    throw error;
  }
}
