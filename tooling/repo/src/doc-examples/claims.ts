import ts from "typescript";

/** What an example states of an expression: `expression // => value`. */
export interface Claim {
  /** Both as source text on one line. */
  readonly expression: string;
  readonly value: string;
}

const marker = /^\/\/ =>\s*/;
const commentMark = /^\/\/\s?/;

/**
 * The claim that a statement of an example makes, if it makes one: of an expression, or of what a `const` holds.
 *
 * The marker stands on the statement's last line or below it, and the value may go on over more comment lines.
 *
 * @throws {Error} when a marker follows another kind of statement, or no expression follows the marker
 */
export function findClaim(source: ts.SourceFile, statement: ts.Statement): Claim | undefined {
  const comments = readCommentsAfter(source, statement);
  const first = comments.findIndex((comment) => marker.test(comment));
  if (first === -1) return undefined;
  const expression = claimedExpression(statement);
  if (expression === undefined) throw new Error('expected an expression before "// =>", found a statement');
  return { expression: onOneLine(expression.getText(source)), value: readValue(comments.slice(first)) };
}

/** Number of markers in an example's code, whether or not they follow a statement. */
export const countMarkers = (code: string): number => code.split("// =>").length - 1;

/** The same code on one line. Only for code without line comments and template strings. */
export const onOneLine = (code: string): string => code.trim().replace(/\s*\n\s*/g, " ");

function readCommentsAfter({ text }: ts.SourceFile, { end }: ts.Statement): string[] {
  const onLastLine = ts.getTrailingCommentRanges(text, end) ?? [];
  const below = ts.getLeadingCommentRanges(text, end) ?? [];
  return [...onLastLine, ...below].map((range) => text.slice(range.pos, range.end));
}

function claimedExpression(statement: ts.Statement): ts.Node | undefined {
  if (ts.isExpressionStatement(statement)) return statement.expression;
  const declarations = ts.isVariableStatement(statement) ? statement.declarationList.declarations : [];
  return declarations.length === 1 ? declarations[0]?.name : undefined;
}

function readValue([first = "", ...rest]: readonly string[]): string {
  let value = first.replace(marker, "");
  for (const comment of rest) {
    if (isExpression(value)) break;
    value += `\n${comment.replace(commentMark, "")}`;
  }
  if (isExpression(value)) return onOneLine(value);
  throw new Error(`expected a TypeScript expression after "// =>", found ${JSON.stringify(value)}`);
}

const isExpression = (text: string): boolean =>
  ts.transpileModule(`(${text})`, { reportDiagnostics: true }).diagnostics?.length === 0;
