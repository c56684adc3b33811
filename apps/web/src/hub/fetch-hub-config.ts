import { CONFIG } from "@kvfold/converter/internals";
import { hubAddress } from "./hub-address.js";
import { HubError } from "./hub-error.js";
import { findRepository } from "./hub-repository.js";

/** The text of a model's `config.json`. Nothing else is fetched. @throws {HubError} */
export async function fetchHubConfig(name: string): Promise<string> {
  const repository = await findRepository(name, { hubUrl: hubAddress(document.baseURI) });
  const file = repository.listing.get(CONFIG);
  if (file === undefined)
    throw new HubError(`${name} has no ${CONFIG}; name a checkpoint in the format of transformers`);
  return new Response(await repository.open(file)).text();
}
