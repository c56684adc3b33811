/**
 * How many tests passed, failed and were skipped.
 *
 * @typedef {{ readonly passed: number, readonly failed: number, readonly skipped: number }} Counts
 */

/** @type {Counts} */
const noCounts = { passed: 0, failed: 0, skipped: 0 };

/** A check that is not made of tests counts as one. @param {"passed" | "failed" | "skipped"} outcome @returns {Counts} */
export const countOne = (outcome) => ({ ...noCounts, [outcome]: 1 });

/** @param {readonly Counts[]} counts @returns {Counts} */
export const addCounts = (counts) =>
  counts.reduce(
    (sum, { passed, failed, skipped }) => ({
      passed: sum.passed + passed,
      failed: sum.failed + failed,
      skipped: sum.skipped + skipped,
    }),
    noCounts,
  );

/** @param {Counts} counts */
export const formatCounts = ({ passed, failed, skipped }) =>
  `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;

/**
 * The counts of a report by Vitest's `json` reporter.
 *
 * A file that could not be loaded, and an error outside any test, have no test of their own: each counts as one
 * failure, so that a run that Vitest calls failed never shows `0 failed`.
 *
 * @param {VitestReport | undefined} report `undefined` when Vitest left none
 * @param {number} exitCode Vitest's own
 * @returns {Counts}
 *
 * @typedef {object} VitestReport
 * @property {number} numPassedTests
 * @property {number} numFailedTests
 * @property {number} numPendingTests
 * @property {number} numTodoTests
 * @property {readonly { status: string, assertionResults: readonly { status: string }[] }[]} testResults
 */
export function countVitest(report, exitCode) {
  if (report === undefined) return countOne("failed");
  const { numPassedTests: passed, numFailedTests, numPendingTests, numTodoTests, testResults } = report;
  const failed = numFailedTests + testResults.filter(failedOutsideTests).length;
  return {
    passed,
    failed: exitCode === 0 ? failed : Math.max(failed, 1),
    skipped: numPendingTests + numTodoTests,
  };
}

/** @param {VitestReport["testResults"][number]} file */
const failedOutsideTests = ({ status, assertionResults }) =>
  status === "failed" && !assertionResults.some((test) => test.status === "failed");
