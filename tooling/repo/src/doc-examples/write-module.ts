import ts from "typescript";
import { countMarkers, findClaim, onOneLine } from "./claims";
import type { Fence } from "./find-fences";

/** What an example calls for every claim, with both values. */
export type CheckClaim = (line: number, got: unknown, expected: unknown) => void;

/** What the module of an example exports. */
export interface ExampleModule {
  readonly run: (check: CheckClaim) => Promise<void>;
}

/** Code that takes the place of a statement. */
interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/**
 * TypeScript of the module that runs an example: its imports, then all else as a function `run(check)`.
 *
 * Every line of code keeps the number that it has in the document, so stack traces name the right one.
 *
 * @throws {Error} naming the line, when a claim cannot be read
 */
export function writeModule({ file, line: firstLine, code }: Fence): string {
  const source = ts.createSourceFile(file, code, ts.ScriptTarget.ES2022, true);
  const imports = source.statements.filter(ts.isImportDeclaration);
  const claims = source.statements.flatMap((statement) => {
    const line = firstLine + source.getLineAndCharacterOfPosition(statement.getStart(source)).line;
    return claimEdit(source, statement, line, file) ?? [];
  });
  if (claims.length !== countMarkers(code))
    throw new Error(
      `${file}:${firstLine}: expected each "// =>" after a statement of its own; is a semicolon missing?`,
    );
  const head = imports.map((statement) => onOneLine(statement.getText(source))).join(" ");
  const body = applyEdits(code, [...imports.map((statement) => blankEdit(source, statement)), ...claims]);
  return `${head} export async function run(check) {${"\n".repeat(firstLine - 1)}${body}\n}\n`;
}

/** Hands a claim to `check`: instead of a bare expression, or after a declaration. */
function claimEdit(
  source: ts.SourceFile,
  statement: ts.Statement,
  line: number,
  file: string,
): Edit | undefined {
  const claim = findClaimAt(source, statement, `${file}:${line}`);
  if (claim === undefined) return undefined;
  const start = ts.isExpressionStatement(statement) ? statement.getStart(source) : statement.end;
  const text = `;check(${line}, ${claim.expression}, (${claim.value}));`;
  return { start, end: statement.end, text: text + newlinesIn(source.text.slice(start, statement.end)) };
}

function findClaimAt(source: ts.SourceFile, statement: ts.Statement, place: string) {
  try {
    return findClaim(source, statement);
  } catch (cause) {
    throw new Error(`${place}: ${(cause as Error).message}`, { cause });
  }
}

function blankEdit(source: ts.SourceFile, statement: ts.Statement): Edit {
  return {
    start: statement.getStart(source),
    end: statement.end,
    text: newlinesIn(statement.getText(source)),
  };
}

const newlinesIn = (text: string): string => text.replace(/[^\n]/g, "");

const applyEdits = (text: string, edits: readonly Edit[]): string =>
  edits
    .toSorted((a, b) => b.start - a.start)
    .reduce((result, edit) => result.slice(0, edit.start) + edit.text + result.slice(edit.end), text);
