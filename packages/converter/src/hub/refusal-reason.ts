/** What the Hub's answers say besides their body. */
export interface HubAnswer {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
}

const NAMED = ["GatedRepo", "RevisionNotFound", "RepoNotFound"] as const;

/** Why a Hub refuses. `RepoNotFound` may be a private model, too. */
export type RefusalReason = (typeof NAMED)[number] | "InvalidToken" | "Forbidden" | "Other";

/**
 * Why a Hub gave an answer that is none. It names the reason in a header. Without a token it answers alike for what is missing
 * and for what is private, and it says in words that a token is wrong.
 */
export function refusalReason({ status, headers }: HubAnswer): RefusalReason {
  const named = NAMED.find((reason) => reason === headers.get("x-error-code"));
  if (named !== undefined) return named;
  if (/invalid (credentials|token)/i.test(headers.get("x-error-message") ?? "")) return "InvalidToken";
  if (status === 401 || status === 404) return "RepoNotFound";
  return status === 403 ? "Forbidden" : "Other";
}
