// What a DXOS app brings along: its types. Nothing in here knows of HALO.

import { getObjectCore } from "@dxos/client/echo";
import { TypedObject, TypedRelation, Ref, Expando } from "@dxos/echo-schema";
import { Schema } from "effect";

export class Person extends TypedObject({ typename: "example.org/type/Person", version: "0.1.0" })({
  name: Schema.String,
}) {}

export class Task extends TypedObject({ typename: "example.org/type/Task", version: "0.1.0" })({
  title: Schema.String,
  done: Schema.optional(Schema.Boolean),
  rank: Schema.optional(Schema.Number),
  owner: Schema.optional(Ref(Person)),
}) {}

export { Expando, Ref };

/** Resolves once an object is as `seen` wants it, which may be later than a query finds it so: the wallet answers that. */
export async function becomes(object, seen) {
  if (seen(object)) return;
  await new Promise((resolve) => {
    const stop = getObjectCore(object).updates.on(() => {
      if (!seen(object)) return;
      stop();
      resolve();
    });
  });
}
