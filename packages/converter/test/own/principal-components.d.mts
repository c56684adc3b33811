import type { Method } from "../../src/index.js";

export declare const principalComponents: Method;
