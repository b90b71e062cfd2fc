// A wallet that only pretends, for tests and pictures. It is never part of what is shipped.

import type { ActivityView, DoctorReport, InvitationView, ItemVersion, ItemView, Port, Removal, Snapshot, SpaceDetails, SyncView } from '../port';
import { DESK, LAPTOP, PHONE } from './states';

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
  { change: 'c', at: Date.now() - 3_600_000, by: { device: 'ada-laptop', app: null }, deleted: false, data: { title: 'Oat milk', done: false, rank: 1 } },
  { change: 'b', at: Date.now() - 7_200_000, by: { device: 'Desk at work', app: 'https://notes.example' }, deleted: false, data: { title: 'Milk', done: false, rank: 1 } },
];

const removal: Removal = {
  device_key: PHONE,
  last: false,
  only_there: ['Field trip to the marsh'],
  aliases: [
    { grant: 'https://notes.example', name: 'Notes', client_id: 'https://notes.example', moved: false },
    { grant: 'http://localhost:4000', name: 'Hello', client_id: 'http://localhost:4000', moved: true },
  ],
};

const sync: SyncView = {
  peers: [
    { device_key: DESK, label: 'Desk at work', path: 'relay', since: Date.now() - 3_600_000, bytes_in: 48_200, bytes_out: 1_204_000, in_step: false },
    { device_key: PHONE, label: 'Ada’s old laptop', path: 'lan', since: Date.now() - 120_000, bytes_in: 2_450_000, bytes_out: 18_000, in_step: true },
  ],
  links: [
    { from: LAPTOP, to: DESK, path: 'relay' },
    { from: LAPTOP, to: PHONE, path: 'lan' },
    { from: DESK, to: PHONE, path: 'direct' },
  ],
  spaces: [
    {
      id: 'BFIELDNOTESFIELDNOTESFIELDNOTES22',
      name: 'Field trip to the marsh',
      here: 4_120,
      peers: [
        { device_key: DESK, missing_here: 0, missing_there: 37 },
        { device_key: PHONE, missing_here: 0, missing_there: 0 },
      ],
    },
    { id: 'BHOUSEHOLDHOUSEHOLDHOUSEHOLDHOU22', name: 'Household', here: 12, peers: [] },
  ],
  servers: [
    { url: 'wss://kube.lovelace.example', state: 'connected', error: null },
    { url: 'wss://kube.garden.example', state: 'waiting', error: 'the connection was refused' },
  ],
  lan: true,
};

const report: DoctorReport = { spaces: 2, blocks: 4_132, documents: 131, items: 131, snapshots: 1, problems: [], mismatches: [], rebuilt: 0 };

/** Looks like a code; nothing is in it. */
function pattern(text: string): { size: number; path: string } {
  const size = 53;
  const edge = 4;
  const last = size - edge - 1;
  let path = '';
  const mark = (x: number, y: number) => (path += `M${x} ${y}h1v1h-1z`);
  let seed = [...text].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) >>> 0, 7);
  const corner = (x: number, y: number) => (x < edge + 8 && y < edge + 8) || (x > last - 8 && y < edge + 8) || (x < edge + 8 && y > last - 8);
  for (let y = edge; y <= last; y += 1) {
    for (let x = edge; x <= last; x += 1) {
      seed = (seed * 1_664_525 + 1_013_904_223) >>> 0;
      if (!corner(x, y) && seed >>> 31) mark(x, y);
    }
  }
  for (const [left, top] of [
    [edge, edge],
    [last - 6, edge],
    [edge, last - 6],
  ] as const) {
    for (let y = 0; y < 7; y += 1) {
      for (let x = 0; x < 7; x += 1) {
        const ring = Math.max(Math.abs(x - 3), Math.abs(y - 3));
        if (ring !== 2) mark(left + x, top + y);
      }
    }
  }
  return { size, path };
}

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
    compactSpace: note('compactSpace', { before: 5_242_880, after: 262_144, waits_for: [] }),
    lookAtSpace: note('lookAtSpace', undefined),
    items: note('items', items),
    putItem: note('putItem', items[0] as ItemView),
    setItemDeleted: note('setItemDeleted', undefined),
    itemVersions: note('itemVersions', versions),
    doctor: note('doctor', report),
    inviteDevice: note('inviteDevice', snapshot.invitations[0] as InvitationView),
    addAskingDevice: note('addAskingDevice', snapshot.invitations[0] as InvitationView),
    enterDigits: note('enterDigits', undefined),
    cancelInvitation: note('cancelInvitation', undefined),
    joinDevice: note('joinDevice', undefined),
    askToJoin: note('askToJoin', undefined),
    cancelJoin: note('cancelJoin', undefined),
    renameDevice: note('renameDevice', undefined),
    removalOf: note('removalOf', { ...removal, last: snapshot.devices.length < 2 }),
    revokeDevice: note('revokeDevice', removal),
    undoDevice: note('undoDevice', undefined),
    agreeDevice: note('agreeDevice', undefined),
    freshAlias: note('freshAlias', undefined),
    onSync: note('onSync', () => undefined),
    syncStatus: note('syncStatus', snapshot.devices.length > 1 ? sync : { ...sync, peers: [], links: [], servers: [] }),
    setNetwork: note('setNetwork', undefined),
    drawCode: async (text) => (calls.push(['drawCode', text]), pattern(text)),
    readCode: note('readCode', 'halo://join/AQIDBA'),
    about: note('about', { version: '0.1.0', device_label: 'ada-laptop' }),
  };
}
