// A night at the bar with the client that openapi-typescript and openapi-fetch generate: `node night.ts URL`.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import process from "node:process";
import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./schema.ts";

type Schemas = components["schemas"];
type Bar = Client<paths>;

const RECORD_MS = 20_000;

const url = process.argv[2];
assert(url, "usage: night.ts URL");

async function signIn(email: string): Promise<Bar> {
  const { data, error } = await createClient<paths>({ baseUrl: url! }).POST("/login", { body: { email, password: "password123" } });
  assert(data, JSON.stringify(error));
  return createClient<paths>({ baseUrl: url!, headers: { Authorization: `Bearer ${data.token}` } });
}

async function placed(bar: Bar, body: Schemas["NewOrder"], key: string): Promise<Schemas["Order"]> {
  const { data, error } = await bar.POST("/orders", { body, params: { header: { "Idempotency-Key": key, Prefer: "wait=5" } } });
  assert(data, JSON.stringify(error));
  const deadline = Date.now() + RECORD_MS;
  while (Date.now() < deadline) {
    const { data: stored } = await bar.GET("/orders/{id}", { params: { path: { id: data.id }, header: { Prefer: "wait=5" } } });
    if (stored && "items" in stored && stored.status !== "queued") {
      return stored;
    }
  }
  assert.fail(`the order was not recorded within ${RECORD_MS} ms`);
}

// Reads the stream of changes until the order comes.
async function followed(bar: Bar, since: string, id: string): Promise<Schemas["OrderEvent"]> {
  const { data, error } = await bar.GET("/stream", { params: { header: { "Last-Event-ID": since } }, parseAs: "stream" });
  assert(data, JSON.stringify(error));
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of Readable.fromWeb(data as ReadableStream)) {
    text += decoder.decode(bytes, { stream: true });
    const events = text.split("\n\n");
    text = events.pop() ?? "";
    for (const event of events) {
      const json = /^event: order\ndata: (.*)$/.exec(event)?.[1];
      const order: Schemas["OrderEvent"] | undefined = json && JSON.parse(json);
      if (order?.id === id) {
        return order;
      }
    }
  }
  assert.fail("the stream ended");
}

function refused(problem: Schemas["Problem"] | undefined, status: number, name: string): Schemas["Problem"] {
  assert(problem);
  assert.deepEqual([problem.status, problem.type], [status, `/problems/${name}`], JSON.stringify(problem));
  return problem;
}

const [guest, staff] = await Promise.all([signIn("user@example.com"), signIn("employee@example.com")]);
const menu = await createClient<paths>({ baseUrl: url }).GET("/recipes");
assert(menu.data?.recipes.some((recipe) => recipe.name === "Margarita"));

const since = (await guest.GET("/orders")).response.headers.get("Changes-Cursor");
assert(since);

// The guest places both kinds of order. A repeat under the same key returns the same order.
const key = randomUUID();
const one = await placed(guest, { recipe: "Margarita", quantity: 2, table: "4" }, key);
assert.equal((await placed(guest, { recipe: "Margarita", quantity: 2, table: "4" }, key)).id, one.id);
const lines: Schemas["NewLine"][] = [{ recipe: "Negroni", note: "no ice" }, { recipe: "Gin Fizz", quantity: 3 }];
const several = await placed(guest, { items: lines, note: "quick" }, randomUUID());
assert.deepEqual(several.items.map((line) => [line.recipe.name, line.quantity]), [["Negroni", 1], ["Gin Fizz", 3]]);

assert.equal((await followed(guest, since, several.id)).version, 1);

// The bartender reads the board, then claims and completes all orders.
const board = await staff.GET("/orders", { params: { query: { status: ["pending", "in_progress"] } } });
assert.deepEqual(board.data?.orders.map((order) => order.id).sort(), [one.id, several.id].sort(), JSON.stringify(board));
const made: string[] = [];
while (made.length < 2) {
  const claimed = await staff.POST("/orders/next");
  assert.equal(claimed.data?.status, "in_progress", JSON.stringify(claimed.error));
  const params = { path: { id: claimed.data.id } };
  const ready = await staff.POST("/orders/{id}/ready", { params });
  assert.equal(ready.data?.status, "ready", JSON.stringify(ready.error));
  const complete = await staff.POST("/orders/{id}/complete", { params });
  assert.equal(complete.data?.status, "completed", JSON.stringify(complete.error));
  made.push(complete.data.id);
}
assert.deepEqual(made.sort(), [one.id, several.id].sort());
assert.equal((await staff.POST("/orders/next")).response.status, 204);

// The guest reads the history and cancels another order.
const history = await guest.GET("/orders/{id}/history", { params: { path: { id: one.id } } });
assert.deepEqual(history.data?.history.map((move) => move.to), ["pending", "in_progress", "ready", "completed"]);
const last = await placed(guest, { recipe: "Negroni" }, randomUUID());
const cancelled = await guest.POST("/orders/{id}/cancel", { params: { path: { id: last.id } }, body: { reason: "Too late." } });
assert.equal(cancelled.data?.status, "cancelled", JSON.stringify(cancelled.error));

// Errors are problems with typed fields.
const unknown = refused((await guest.POST("/orders", { body: { recipe: "engine oil" } })).error, 422, "invalid");
assert.deepEqual(unknown.errors?.map((error) => error.field), ["recipe"]);
refused((await staff.POST("/orders/{id}/complete", { params: { path: { id: one.id } } })).error, 409, "illegal-move");
refused((await guest.POST("/orders/next")).error, 403, "not-permitted");
const nobody = createClient<paths>({ baseUrl: url, headers: { Authorization: "Bearer nobody's" } });
refused((await nobody.POST("/orders", { body: { recipe: "Negroni" } })).error, 401, "not-signed-in");

// The compiler rejects invalid orders.
export const wrong: Schemas["NewOrder"][] = [
  // @ts-expect-error a line has a recipe
  { items: [{ drink: "Negroni" }] },
  // @ts-expect-error no drink
  { table: "4" },
];
