export const formatShare = (share: number): string => `${(100 * share).toFixed(0)} %`;

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
