/** The commit that Hubs of tests have. */
export const COMMIT = "0123456789abcdef0123456789abcdef01234567";

/**
 * What a Hub says of a model at a commit: the fields that `@huggingface/hub` reads.
 *
 * @param {string} id
 * @param {{ commit?: string, isPrivate?: boolean, isGated?: boolean }} [options]
 */
export const hubModel = (id, { commit = COMMIT, isPrivate = false, isGated = false } = {}) => ({
  _id: "1",
  id,
  sha: commit,
  private: isPrivate,
  gated: isGated,
  downloads: 0,
  likes: 0,
  lastModified: "2026-01-01T00:00:00.000Z",
});
