/** A typed client of guardpanel's JSON API: every path, body and answer is that of `openapi.json`. */

import createFetchClient, { type Client, type Middleware } from "openapi-fetch";
import type { components, paths } from "./schema.js";

export type { components, operations, paths } from "./schema.js";

/** RFC 9457: `detail` is for people, `code` for programs, `errors` has each field with its JSON pointer. */
export type Problem = components["schemas"]["ProblemDocument"];

export type GuardpanelClient = Client<paths>;

/** What the API refused, or could not do. */
export class GuardpanelError extends Error {
  override readonly name = "GuardpanelError";

  constructor(readonly problem: Problem) {
    super(problem.detail);
  }
}

export interface Options {
  /** For example `https://panel.example:8000`. */
  baseUrl: string;
  /** An access token, or a function that returns the current one. */
  token?: string | (() => string | Promise<string>);
  fetch?: (request: Request) => Promise<Response>;
}

/** A client that sends the token with each request. */
export function createClient({ baseUrl, token, fetch }: Options): GuardpanelClient {
  const client = createFetchClient<paths>({ baseUrl, ...(fetch && { fetch }) });
  if (token !== undefined) client.use(bearer(token));
  return client;
}

/** An access token for an email address and a password. It expires after `expires_in` seconds. */
export async function logIn(
  client: GuardpanelClient,
  body: components["schemas"]["LogIn"],
): Promise<components["schemas"]["AccessTokenOut"]> {
  const { data } = await ok(client.POST("/api/v1/auth/login", { body }));
  return data;
}

export interface Answer<T> {
  data: T;
  response: Response;
  /** The row's version. Send it as `if-match` with a change, so that no other save is overwritten. */
  etag: string | null;
}

/** The answer of a request that succeeded. Throws GuardpanelError for a problem, and fetch's error if there was no answer. */
export async function ok<T>(
  request: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<Answer<T>> {
  const { data, error, response } = await request;
  if (!response.ok) throw new GuardpanelError(isProblem(error) ? error : unknownProblem(response));
  return { data: data as T, response, etag: response.headers.get("etag") };
}

/** Whether it is a problem document, and not what a proxy in front of the panel answered. */
export function isProblem(value: unknown): value is Problem {
  return typeof value === "object" && value !== null && "detail" in value && "code" in value && "errors" in value;
}

function unknownProblem(response: Response): Problem {
  return {
    type: "about:blank",
    title: response.statusText,
    status: response.status,
    detail: `Status ${response.status} without a problem document.`,
    instance: new URL(response.url).pathname,
    code: "unknown",
    errors: [],
  };
}

function bearer(token: NonNullable<Options["token"]>): Middleware {
  return {
    async onRequest({ request }) {
      const value = typeof token === "function" ? await token() : token;
      request.headers.set("authorization", `Bearer ${value}`);
      return request;
    },
  };
}
