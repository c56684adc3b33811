import { homedir } from "node:os";
import { join } from "node:path";

/** Where fetched models are kept unless told otherwise: in the folder that the platform has for such things. */
export function defaultCacheFolder(
  platform: NodeJS.Platform,
  environment: NodeJS.ProcessEnv,
  home: string = homedir(),
): string {
  if (platform === "win32")
    return join(environment.LOCALAPPDATA ?? join(home, "AppData", "Local"), "kvfold", "hub");
  if (platform === "darwin") return join(home, "Library", "Caches", "kvfold", "hub");
  // An empty or relative path is to be ignored (XDG Base Directory Specification).
  const { XDG_CACHE_HOME: xdg = "" } = environment;
  return join(xdg.startsWith("/") ? xdg : join(home, ".cache"), "kvfold", "hub");
}
