import { CompareView } from "./compare/compare-view.js";
import { FitView } from "./fit/fit-view.js";
import { FoldView } from "./fold/fold-view.js";
import { ModelPicker } from "./models/model-picker.js";
import { PicturesView } from "./pictures/pictures-view.js";

/** The page, from top to bottom: see what fits, choose a model, fold it, compare, look. */
export const App = () => (
  <>
    <header>
      <h1>kvfold</h1>
      <p>
        A language model keeps keys and values of every token it has read. Their heads repeat each other, so
        they can be <em>folded</em> into fewer: the cache shrinks, the answers stay nearly the same. All of
        this happens in this tab; nothing is sent anywhere.
      </p>
    </header>
    <main>
      <FitView />
      <ModelPicker />
      <FoldView />
      <CompareView />
      <PicturesView />
    </main>
    <footer>
      <p>
        Method: <cite>Effectively Compress KV Heads for LLM</cite> (arXiv 2406.07056) and beyond.
      </p>
    </footer>
  </>
);
