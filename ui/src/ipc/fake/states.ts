// Every state a screen can show.

import type { AppView, AskerView, RequestView, Snapshot } from '../port';

const hour = 3_600_000;

const empty: Snapshot = {
  state: 'empty',
  trouble: null,
  keychain: 'ready',
  root_place: null,
  passphrase: false,
  identity: null,
  requests: [],
  apps: [],
  devices: [],
  invitations: [],
  join: null,
  network: { servers: [], lan: true, turn: [] },
  settings: { auto_lock_minutes: 10, lock_with_screen: true, theme: 'light', dxos_agent: false },
  broker_url: 'http://127.0.0.1:47110',
  profile: '/home/ada/.local/share/halo',
  audit_broken_at: null,
};

const open: Snapshot = {
  ...empty,
  state: 'unlocked',
  root_place: 'keychain',
  identity: {
    did: 'did:halo:BGUCWPX2RVYZT3OR7A5VR6Q7BLJK4TMQE',
    did_key: 'did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK',
    name: 'Ada Lovelace',
    avatar: null,
    device_key: '2d1a6f2b0c8f4c1a9e57d3b2a1c0ffee2d1a6f2b0c8f4c1a9e57d3b2a1c0ffee',
    device_label: 'ada-laptop',
    phrase: 'confirmed',
  },
};

const app = (origin: string, name: string, more: Partial<AppView>): AppView => ({
  id: origin,
  name,
  kind: 'web',
  origin,
  client_id: origin,
  process: null,
  scopes: ['openid'],
  fields: [],
  identity: false,
  spaces: [],
  sub: 'did:key:z6Mkf5rGMoatrSj1f4CyvuHBeXJELe9RPdzo2PKGNCKVtZxP',
  created: Date.now() - 30 * hour,
  last_used: Date.now() - hour,
  ...more,
});

const asker: AskerView = {
  name: 'Field Notes',
  kind: 'web',
  origin: 'https://app.fieldnotes.example',
  registrable_domain: 'fieldnotes.example',
  client_id: 'https://app.fieldnotes.example',
  process: { pid: 4242, name: 'chromium', path: '/usr/lib/chromium/chromium', browser: true },
  warnings: [],
};

const request: RequestView = {
  id: 'request-1',
  app: asker,
  scopes: ['openid', 'profile'],
  new_scopes: ['openid', 'profile'],
  known: false,
  fields: ['name', 'picture'],
  spaces: [],
  binding_message: null,
  compare_words: null,
  word_choices: [
    ['amber', 'canoe', 'violin'],
    ['falcon', 'olive', 'button'],
    ['maple', 'thunder', 'kettle'],
    ['river', 'jigsaw', 'pepper'],
  ],
  created: Date.now(),
  expires: Date.now() + 120_000,
};

const asking = (more: Partial<RequestView>): Snapshot => ({ ...open, requests: [{ ...request, ...more }] });

export const states = {
  empty,
  'empty-no-keychain': { ...empty, keychain: 'missing' },
  identity: open,
  'identity-unconfirmed': { ...open, identity: open.identity && { ...open.identity, phrase: 'unconfirmed' } },
  'apps-empty': open,
  apps: {
    ...open,
    apps: [
      app('https://app.fieldnotes.example', 'Field Notes', { scopes: ['openid', 'profile'], fields: ['name'] }),
      app('http://localhost:4000', 'Hello', { last_used: Date.now() - 40_000, scopes: ['openid', 'halo:spaces', 'halo:spaces:write'], spaces: ['B1', 'B2'] }),
      app('sketchbook', 'Sketchbook', { kind: 'native', origin: null, process: '/usr/bin/sketchbook', identity: true, scopes: ['openid', 'halo:identity'] }),
    ],
  },
  activity: open,
  'activity-broken': { ...open, audit_broken_at: 5 },
  settings: { ...open, passphrase: true },
  locked: { ...empty, state: 'locked', root_place: 'keychain', passphrase: true },
  'trouble-entry': {
    ...empty,
    state: 'locked',
    root_place: 'keychain',
    trouble: { code: 'keystore.entry_missing', message: 'the keychain has no entry for this profile any more' },
  },
  'trouble-older': {
    ...empty,
    state: 'locked',
    root_place: 'keychain',
    trouble: { code: 'wallet.rolled_back', message: 'the data of this profile is older than it was' },
  },
  'prompt-words': asking({}),
  'prompt-compare': asking({
    word_choices: null,
    compare_words: ['amber', 'canoe', 'violin'],
    scopes: ['openid'],
    new_scopes: ['openid'],
    fields: [],
  }),
  'prompt-spaces': asking({
    word_choices: null,
    scopes: ['openid', 'halo:spaces', 'halo:spaces:write'],
    new_scopes: ['openid', 'halo:spaces', 'halo:spaces:write'],
    fields: [],
    spaces: [
      { id: 'BGARDENGARDENGARDENGARDENGARDEN22', name: 'Garden club' },
      { id: 'BHOUSEHOLDHOUSEHOLDHOUSEHOLDHOU22', name: 'Household' },
    ],
  }),
  'prompt-identity': asking({
    word_choices: null,
    known: true,
    scopes: ['openid', 'halo:identity'],
    new_scopes: ['halo:identity'],
    fields: [],
    binding_message: 'Join “Garden club”',
  }),
  'prompt-impostor': asking({
    word_choices: null,
    scopes: ['openid'],
    new_scopes: ['openid'],
    fields: [],
    app: {
      ...asker,
      name: 'HALO Security Update',
      origin: 'https://bank.example',
      registrable_domain: 'bank.example',
      client_id: 'https://bank.example',
      process: { pid: 666, name: 'helper', path: '/tmp/helper', browser: false },
      warnings: [{ kind: 'not_a_browser' }],
    },
  }),
} satisfies Record<string, Snapshot>;
