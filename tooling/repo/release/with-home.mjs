/**
 * A manifest that says where its package comes from; one that says so already stays as it is.
 *
 * @param {Record<string, unknown>} manifest
 * @param {string} folder - of the package in the repository
 * @param {string} home - address of the repository
 * @returns {Record<string, unknown>}
 */
export const withHome = (manifest, folder, home) => ({
  repository: { type: "git", url: `git+${home}.git`, directory: folder },
  homepage: `${home}#readme`,
  bugs: `${home}/issues`,
  ...manifest,
});
