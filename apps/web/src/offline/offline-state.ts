import { signal } from "@preact/signals";

/** How far the page is from working without a network. */
export type OfflineState =
  | { readonly kind: "none" }
  /** The page alone is kept: the browser asks to save data, so that the rest waits for a wish. */
  | { readonly kind: "page" }
  | { readonly kind: "keeping"; readonly kept: number; readonly total: number }
  | { readonly kind: "kept"; readonly bytes: number }
  | { readonly kind: "failed"; readonly message: string };

export const offlineState = signal<OfflineState>({ kind: "none" });
/** Another version of the page is there, and waits for this one to be left. */
export const newVersion = signal<ServiceWorker | undefined>(undefined);
