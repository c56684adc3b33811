import { type HubAnswer, refusalReason } from "@kvfold/converter/internals";
import { CliError } from "../cli-error.js";
import { hostOf, type Repository } from "./repository.js";

/** The error behind an answer of the Hub that is none. */
export function describeRefusal(answer: HubAnswer, repository: Repository): CliError {
  const { name, revision, hubUrl, token } = repository;
  const host = hostOf(repository);
  switch (refusalReason(answer)) {
    case "GatedRepo":
      return new CliError(
        "access-denied",
        `${name} is gated: accept its conditions at ${hubUrl}/${name}, and ${token === undefined ? GIVE_TOKEN : "use a token of the account that did"}`,
      );
    case "RevisionNotFound":
      return new CliError(
        "not-found",
        `${name} at ${host} has no revision ${revision}; name a branch, a tag or a commit`,
      );
    case "InvalidToken":
      return new CliError("access-denied", `${host} does not know the token; check HF_TOKEN or --token`);
    case "RepoNotFound":
      return new CliError(
        "not-found",
        `${host} has no model ${name}${token === undefined ? `, or it is private: check the name, or ${GIVE_TOKEN}` : " that the token may see; check both"}`,
      );
    case "Forbidden":
      return new CliError(
        "access-denied",
        `${host} denies access to ${name}; ${token === undefined ? GIVE_TOKEN : "check what the token may do there"}`,
      );
    case "Other":
      return new CliError(
        "network",
        `${host} answered with status ${answer.status} for ${name}; try again later`,
      );
  }
}

const GIVE_TOKEN = "give a token with HF_TOKEN or --token";
