/** A thread for linear algebra that knows a method of the user's. */
import { serveBlockMath } from "@kvfold/converter/node";
import { plainProducts } from "@kvfold/linalg";
import { principalComponents } from "./principal-components.mjs";

serveBlockMath(plainProducts, { methods: [principalComponents] });
