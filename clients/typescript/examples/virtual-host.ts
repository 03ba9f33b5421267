/**
 * Create a virtual host, change it without overwriting what others saved, and delete it:
 *
 *     GUARDPANEL_URL=http://127.0.0.1:8000 GUARDPANEL_EMAIL=… GUARDPANEL_PASSWORD=… node dist/examples/virtual-host.js shop.example 10.0.0.5:8080
 *
 * Prints each step as a line of JSON.
 */

import { createClient, GuardpanelError, logIn, ok } from "../src/index.js";

declare const process: { argv: string[]; env: Record<string, string | undefined> };

const [, , hostname, address] = process.argv;
if (hostname === undefined || address === undefined) throw new Error("Two arguments: a hostname, and a server's address.");

const baseUrl = variable("GUARDPANEL_URL");
const login = { email: variable("GUARDPANEL_EMAIL"), password: variable("GUARDPANEL_PASSWORD") };
const { access_token: token } = await logIn(createClient({ baseUrl }), login);
const panel = createClient({ baseUrl, token });

const created = await ok(panel.POST("/api/v1/vhosts", { body: { hostnames: [hostname], servers: [{ address }] } }));
const { id, deployment } = created.data;
print("created", { id, hostnames: created.data.hostnames, etag: created.etag, deployment: deployment.status });

const params = { path: { virtual_host_id: id } };
const before = await ok(panel.GET("/api/v1/vhosts/{virtual_host_id}", { params }));
const changed = await change({ description: "From a script" }, before.etag);
print("changed", { description: changed.data.description, etag: changed.etag });

print("stale", await problem(change({ description: "From another script" }, before.etag)));
print("invalid", await problem(ok(panel.POST("/api/v1/vhosts", { body: { hostnames: ["a b"], servers: [] } }))));

await ok(panel.DELETE("/api/v1/vhosts/{virtual_host_id}", { params }));
print("deleted", await problem(ok(panel.GET("/api/v1/vhosts/{virtual_host_id}", { params }))));

function change(body: { description: string }, etag: string | null) {
  const header = etag === null ? {} : { "if-match": etag };
  return ok(panel.PATCH("/api/v1/vhosts/{virtual_host_id}", { params: { ...params, header }, body }));
}

async function problem(request: Promise<unknown>) {
  try {
    await request;
  } catch (error) {
    if (!(error instanceof GuardpanelError)) throw error;
    const { status, code, current, errors } = error.problem;
    return { status, code, current, pointers: errors.map((field) => field.pointer) };
  }
  throw new Error("It was accepted.");
}

function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`Set ${name}.`);
  return value;
}

function print(step: string, facts: object): void {
  console.log(JSON.stringify({ step, ...facts }));
}
