import { Command } from "commander";
import { type CommandHost, printResult } from "./host.js";
import { hubOf } from "./hub-options.js";
import { addCommonOptions, type CommonOptions } from "./options.js";

interface PushFlags extends CommonOptions {
  readonly token?: string;
  readonly private?: boolean;
  readonly message?: string;
  readonly force?: boolean;
}

/** `kvfold push`: a folded model to the Hub. */
export const createPushCommand = (host: CommandHost): Command =>
  addCommonOptions(
    new Command("push")
      .summary("upload a folded model to the Hugging Face Hub")
      .description(
        "Uploads a folder that kvfold wrote to a repository of the Hugging Face Hub, in one commit.",
      )
      .argument("<folder>", "output of a fold")
      .argument("<repository>", "owner/name; created if it does not exist")
      .option("--token <token>", "a token that may write (default: the variable HF_TOKEN)")
      .option("--private", "make the repository private (default: the account's setting)")
      .option("--message <text>", "what the commit is called")
      .option("--force", "add a commit to a repository that has files; those of the same names are replaced")
      .addHelpText("after", HELP)
      .action((folder: string, repository: string, flags: PushFlags) =>
        runPush(host, folder, repository, flags),
      ),
  );

const HELP = `
Example:
  kvfold push ./model-half me/model-half --private`;

async function runPush(
  host: CommandHost,
  folder: string,
  repository: string,
  flags: PushFlags,
): Promise<void> {
  const existing = flags.force ? "replace" : "refuse";
  const visibility = flags.private ? ("private" as const) : undefined;
  const { message, token } = flags;
  const options = { folder, repository, hub: hubOf({ token }), existing, visibility, message } as const;
  const result = await host.run("push", options, flags);
  printResult(host, flags, result, ({ url, files, commit }) => `${url}\n${files} files in commit ${commit}`);
}
