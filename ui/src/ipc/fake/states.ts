// Every state a screen can show.

import type { AppView, AskerView, DeviceView, InvitationView, JoinView, RefusedView, RequestView, Snapshot } from '../port';

const hour = 3_600_000;

export const LAPTOP = '2d1a6f2b0c8f4c1a9e57d3b2a1c0ffee2d1a6f2b0c8f4c1a9e57d3b2a1c0ffee';
export const DESK = '77aa6f2b0c8f4c1a9e57d3b2a1c0ffee2d1a6f2b0c8f4c1a9e57d3b2a1c0ffee';
export const PHONE = '99bb6f2b0c8f4c1a9e57d3b2a1c0ffee2d1a6f2b0c8f4c1a9e57d3b2a1c0ffee';
export const WATCH = 'abcd6f2b0c8f4c1a9e57d3b2a1c0ffee2d1a6f2b0c8f4c1a9e57d3b2a1c0ffee';

const device = (device_key: string, label: string, more: Partial<DeviceView>): DeviceView => ({
  device_key,
  label,
  platform: 'linux',
  current: false,
  online: false,
  added: Date.now() - 400 * hour,
  last_seen: Date.now() - 2 * hour,
  probation_until: null,
  revoked: null,
  suspended: false,
  ...more,
});
const laptop = device(LAPTOP, 'ada-laptop', { current: true, online: true, last_seen: Date.now() });
const desk = device(DESK, 'Desk at work', { platform: 'windows', online: true });
const phone = device(PHONE, 'Ada’s old laptop', { platform: 'macos' });

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
  refused: [],
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
    device_key: LAPTOP,
    device_label: 'ada-laptop',
    phrase: 'confirmed',
  },
  devices: [laptop],
};
const several: Snapshot = {
  ...open,
  devices: [laptop, desk, phone],
  network: { servers: ['wss://kube.lovelace.example', 'wss://kube.garden.example'], lan: true, turn: [{ url: 'turn:turn.lovelace.example:3478', username: 'ada' }] },
};

/** The phone, new itself, added another device. */
const refusing = (more: Partial<RefusedView>, deskMore: Partial<DeviceView> = {}): Snapshot => ({
  ...several,
  devices: [laptop, { ...desk, ...deskMore }, { ...phone, added: Date.now() - 2.5 * hour, probation_until: Date.now() + 21 * hour, online: true }],
  refused: [
    {
      admission: '5c0d6f2b0c8f4c1a9e57d3b2a1c0ffee2d1a6f2b0c8f4c1a9e57d3b2a1c0ffee',
      device_key: 'eecc6f2b0c8f4c1a9e57d3b2a1c0ffee2d1a6f2b0c8f4c1a9e57d3b2a1c0ffee',
      label: 'Laptop X',
      platform: 'linux',
      by: PHONE,
      added: Date.now() - 1.2 * hour,
      removes: [],
      brings: [],
      puts_out: [],
      hindrance: null,
      ...more,
    },
  ],
});

const invitation: InvitationView = {
  invitation_id: 'invitation-1',
  code_by: 'trusted',
  state: 'INIT',
  url: 'halo://join/AQEBgG2V5zM4R1qkzUu7m0mXnJZr3b8yQ0v2iO5o1mG6c0pYkWl3c3M6Ly9rdWJlLmxvdmVsYWNlLmV4YW1wbGU',
  created: Date.now(),
  expires: Date.now() + 272_000,
  guest: null,
  device_key: null,
  error: null,
};
const inviting = (more: Partial<InvitationView>): Snapshot => ({ ...several, invitations: [{ ...invitation, ...more }] });

const join: JoinView = {
  code_by: 'trusted',
  state: 'CONNECTING',
  url: null,
  digits: null,
  host: { label: 'ada-laptop', platform: 'linux' },
  name: null,
  expires: Date.now() + 200_000,
  progress: { done: 0, total: 0 },
  in_step: false,
  error: null,
};
const joining = (more: Partial<JoinView>): Snapshot => ({ ...empty, join: { ...join, ...more } });

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
  'devices-one': open,
  devices: several,
  'devices-new': {
    ...several,
    devices: [laptop, desk, { ...phone, added: Date.now() - hour / 6, probation_until: Date.now() + 23 * hour, online: true }],
  },
  'devices-refused': { ...refusing({}), passphrase: true },
  'devices-refused-new': refusing({ hindrance: 'new' }),
  'devices-paused': refusing({ removes: [DESK], puts_out: [DESK] }, { online: false, suspended: true }),
  'devices-refused-two': {
    ...refusing({ removes: [DESK], puts_out: [DESK], brings: [{ device_key: WATCH, label: 'Watch', platform: 'android' }] }, { online: false, suspended: true }),
    passphrase: true,
  },
  'devices-all-paused': refusing({ removes: [LAPTOP, DESK], puts_out: [LAPTOP, DESK], hindrance: 'removes_this' }, { online: false, suspended: true }),
  'devices-removed': { ...several, devices: [laptop, desk, { ...phone, revoked: Date.now() - hour }] },
  'invite-code': inviting({}),
  'invite-digits': inviting({ state: 'READY_FOR_AUTHENTICATION', guest: { label: 'Kitchen', platform: 'linux' } }),
  'invite-done': inviting({ state: 'SUCCESS', url: null, guest: { label: 'Kitchen', platform: 'linux' }, device_key: PHONE }),
  'invite-burnt': inviting({
    state: 'ERROR',
    url: null,
    error: { code: 'invitation.burnt', message: 'the digits did not match, so the invitation was withdrawn' },
  }),
  'join-connecting': joining({}),
  'join-code': joining({ code_by: 'new', state: 'INIT', url: invitation.url?.replace('halo://join/', 'halo-newcomer:') ?? null, host: null }),
  'join-digits': joining({ state: 'READY_FOR_AUTHENTICATION', digits: '493021' }),
  'join-progress': joining({ state: 'SUCCESS', name: 'Ada Lovelace', progress: { done: 61_200, total: 100_000 } }),
  'join-ready': joining({ state: 'SUCCESS', name: 'Ada Lovelace', progress: { done: 9, total: 9 }, in_step: true }),
  'join-expired': joining({ state: 'EXPIRED', error: { code: 'invitation.expired', message: 'the invitation expired 12 s ago' } }),
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
