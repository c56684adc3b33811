import { OfflineNote } from "../offline/offline-note.js";

export const PageFooter = () => (
  <footer>
    <OfflineNote />
    <p>
      Escape stops a fold, a tuning or an answer. Method: <cite>Effectively Compress KV Heads for LLM</cite>{" "}
      (arXiv 2406.07056) and beyond.
    </p>
  </footer>
);
