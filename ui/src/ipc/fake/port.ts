// A wallet that only pretends, for tests and pictures. It is never part of what is shipped.

import type { ActivityView, Port, Snapshot } from '../port';

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
    about: note('about', { version: '0.1.0' }),
  };
}
