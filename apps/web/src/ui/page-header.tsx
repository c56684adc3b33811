import curves from "virtual:published-quality";
import { formatBytes } from "@kvfold/runtime";
import { ShareLink } from "../settings/share-link.js";

/** What the page is, and what it is about: the cache of the embedded model, original and folded. */
export const PageHeader = () => (
  <header>
    <a class="skip" href="#model-title">
      Skip to the choice of a model
    </a>
    <div class="bar">
      <p class="mark">kvfold</p>
      <ShareLink />
    </div>
    <div class="hero">
      <div>
        <h1>
          A smaller KV cache, <em>almost</em> the same answers
        </h1>
        <p>
          A language model keeps keys and values of every token it has read. kvfold folds their heads into
          fewer, in this tab. Your files and texts stay here; only the name of a model that you ask for goes
          to the Hub.
        </p>
      </div>
      <CacheFigure />
    </div>
  </header>
);

const METHOD = "anchored";
/** A bar of this many cells stands for the whole cache. */
const CELLS = 8;

/** The measured figures of the default method as bars. */
function CacheFigure() {
  const points = curves.find(({ method }) => method === METHOD)?.points ?? [];
  const largestFirst = [...points].sort((a, b) => b.bytes - a.bytes);
  const [first] = largestFirst;
  if (first === undefined) return null;
  const whole = { keep: "1", bytes: first.bytes / shareOf(first.keep), ratio: 1 };
  return (
    <figure class="cache-figure">
      <table>
        <caption>prose-6m, the model of this page: cache for each token, and what it costs</caption>
        <thead>
          <tr>
            <th scope="col">keep</th>
            <th scope="col">cache</th>
            <th scope="col">perplexity</th>
          </tr>
        </thead>
        <tbody>
          {[whole, ...largestFirst].map(({ keep, bytes, ratio }) => (
            <tr key={keep}>
              <th scope="row">{keep === "1" ? "all" : keep}</th>
              <td>
                <span class="cells" aria-hidden="true">
                  {Array.from({ length: CELLS }, (_, cell) => (
                    <span
                      key={`cell ${cell + 1}`}
                      class={cell < CELLS * shareOf(keep) ? "cell" : "cell saved"}
                    />
                  ))}
                </span>
                {formatBytes(bytes)}
              </td>
              <td>× {ratio.toFixed(3)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </figure>
  );
}

/** `1/4` to 0.25. */
function shareOf(keep: string): number {
  const [part = 1, whole = 1] = keep.split("/").map(Number);
  return part / whole;
}
