import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

import { eventKinds } from '.';

it('has words for everything that the wallet writes into its log', () => {
  const text = readFileSync(`${process.cwd()}/../crates/wallet/src/activity.rs`, 'utf8');
  const events = [...text.matchAll(/^ +(?:AuditEvent::\w+ => )?"([a-z_]+)",?$/gm)].map(([, event]) => event ?? '');
  expect(events.length).toBeGreaterThan(20);
  const known = eventKinds.map(([event]) => event);
  expect(events.filter((event) => !known.includes(event))).toEqual([]);
});
