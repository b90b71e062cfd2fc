// A wallet that only pretends, for tests and pictures. It is never part of what is shipped.

import type { ActivityView, ItemVersion, ItemView, Port, Snapshot, SpaceDetails } from '../port';

export interface Calls {
  calls: [string, ...unknown[]][];
}

const log: ActivityView[] = [
  { seq: 9, at: Date.now() - 60_000, event: 'used', app: 'https://notes.example', details: [['what', 'stayed signed in']] },
  { seq: 8, at: Date.now() - 240_000, event: 'denied', app: 'https://prizes.example', details: [['why', 'user']] },
  {
    seq: 7,
    at: Date.now() - 3_600_000,
    event: 'approved',
    app: 'https://notes.example',
    details: [
      ['scopes', 'openid profile'],
      ['as', 'alias'],
      ['fields', 'name'],
    ],
  },
  { seq: 6, at: Date.now() - 7_200_000, event: 'unlocked', app: null, details: [] },
  { seq: 5, at: Date.now() - 9_000_000, event: 'suspicious', app: 'https://notes.example', details: [['what', 'a refresh token was used twice; its session was ended']] },
  { seq: 4, at: Date.now() - 86_400_000, event: 'passphrase_set', app: null, details: [] },
  { seq: 1, at: Date.now() - 90_000_000, event: 'identity_created', app: null, details: [] },
];

const spaces: SpaceDetails[] = [
  {
    id: 'BFIELDNOTESFIELDNOTESFIELDNOTES22',
    name: 'Field trip to the marsh',
    created: Date.now() - 40 * 86_400_000,
    items: 128,
    bytes: 412_000,
    apps: [{ app: 'web:https://notes.example', grant: 'https://notes.example', made: true, default: false }],
  },
  { id: 'BHOUSEHOLDHOUSEHOLDHOUSEHOLDHOU22', name: 'Household', created: Date.now() - 86_400_000, items: 3, bytes: 2_400, apps: [] },
];

const task = (id: string, data: object, deleted = false): ItemView => ({
  id,
  space: 'BHOUSEHOLDHOUSEHOLDHOUSEHOLDHOU22',
  kind: 'object',
  type: 'example.org/type/Task:0.1.0',
  deleted,
  parent: null,
  source: null,
  target: null,
  data,
});
const items = [
  task('01M84GYBMASJ3RR8D7DGWXVJ5T', { title: 'Oat milk', done: false, rank: 1 }),
  task('01M84GYBMSJ5VHVBX2QMCX53KH', { title: 'Bread and butter', done: true, rank: 2 }),
  task('01M84GYBB33VBP9VJKCV3WFVWQ', { title: 'Ask Grace about the boat', done: false, tags: ['summer', 'lake'] }),
];
const versions: ItemVersion[] = [
  { change: 'c', at: Date.now() - 3_600_000, deleted: false, data: { title: 'Oat milk', done: false, rank: 1 } },
  { change: 'b', at: Date.now() - 7_200_000, deleted: false, data: { title: 'Milk', done: false, rank: 1 } },
];

const words =
  'orbit camera velvet mango anchor puzzle frozen ladder dinner planet shield butter canyon whisper jungle magnet candle ribbon summit garden oxygen violin wisdom zebra';

/** A port over one snapshot; it notes what was called. */
export function fake(snapshot: Snapshot): Port & Calls {
  const calls: Calls['calls'] = [];
  const note =
    <T>(name: string, answer: T) =>
    async (...args: unknown[]): Promise<T> => {
      calls.push([name, ...args]);
      return answer;
    };
  return {
    calls,
    snapshot: note('snapshot', snapshot),
    onSnapshot: note('onSnapshot', undefined),
    onNavigate: note('onNavigate', undefined),
    probeKeychain: note('probeKeychain', snapshot.keychain),
    createIdentity: note('createIdentity', undefined),
    recoverIdentity: note('recoverIdentity', undefined),
    unlock: note('unlock', undefined),
    lock: note('lock', undefined),
    setPassphrase: note('setPassphrase', undefined),
    revealPhrase: note('revealPhrase', words),
    phraseQuiz: note('phraseQuiz', [3, 11, 20]),
    confirmPhrase: note('confirmPhrase', undefined),
    forgetPhrase: note('forgetPhrase', undefined),
    setName: note('setName', undefined),
    setPicture: note('setPicture', undefined),
    setSettings: note('setSettings', undefined),
    touch: note('touch', undefined),
    approve: note('approve', undefined),
    deny: note('deny', undefined),
    promptMoved: note('promptMoved', undefined),
    revoke: note('revoke', undefined),
    activity: note('activity', log),
    onSpaces: note('onSpaces', () => undefined),
    spaces: note('spaces', snapshot.apps.length > 0 ? spaces : []),
    addSpace: note('addSpace', spaces[1] as SpaceDetails),
    renameSpace: note('renameSpace', undefined),
    shareSpace: note('shareSpace', undefined),
    unshareSpace: note('unshareSpace', undefined),
    deleteSpace: note('deleteSpace', undefined),
    items: note('items', items),
    putItem: note('putItem', items[0] as ItemView),
    setItemDeleted: note('setItemDeleted', undefined),
    itemVersions: note('itemVersions', versions),
    about: note('about', { version: '0.1.0' }),
  };
}
