/** The thread that does the linear algebra of a fold, in JavaScript; see worker-block-math.ts. */
import { plainProducts } from "@kvfold/linalg";
import { serveBlockMath } from "./serve-block-math.js";

serveBlockMath(plainProducts);
