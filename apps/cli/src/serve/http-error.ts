/** An answer that is an error, in the words of OpenAI's API. */
export class HttpError extends Error {
  override readonly name = "HttpError";
  readonly status: number;
  /** For programs: `invalid_request_error`, … */
  readonly type: string;
  /** The field that is wrong, where it is one. */
  readonly param: string | null;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    message: string,
    {
      param = null,
      headers = {},
    }: { readonly param?: string | null; readonly headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(message);
    this.status = status;
    this.type = status < 500 ? "invalid_request_error" : "server_error";
    this.param = param;
    this.headers = headers;
  }
}

/** The body of an error. */
export const errorBody = ({ message, type, param }: HttpError): object => ({
  error: { message, type, param, code: null },
});
