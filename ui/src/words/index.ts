// Sentences that need a little thought. Those that stand in one place only stand there.

import type { ActivityView, AskerView, ItemVersion, ProfileField, Scope, Warning } from '../ipc/port';

/** What a scope lets an app do, as the end of "It wants to …". */
export const scopeWords: Record<Scope, string> = {
  openid: 'know you again when you come back',
  profile: 'see parts of your profile',
  'halo:identity': 'know your real identity',
  'halo:spaces': 'keep data with you, in spaces of its own and those you share with it',
  'halo:spaces:write': 'add to and change what is in those spaces',
  'halo:devices': 'see your devices and what you call them',
  'halo:contacts': 'see your contacts',
  'halo:invitations': 'invite people into spaces and accept invitations',
};

export const fieldWords: Record<ProfileField, string> = { name: 'Your name', picture: 'Your picture' };

/** Who asks, in as few words as name them. */
export function askerName(app: AskerView): string {
  if (app.kind === 'web') return app.registrable_domain ?? app.client_id;
  return app.process?.name ?? app.client_id;
}

/** A host around the part somebody registered, which is set in bold. */
export function splitOrigin(origin: string, domain: string | null): [string, string, string] {
  const at = domain ? origin.lastIndexOf(domain) : -1;
  if (!domain || at < 0) return ['', origin, ''];
  return [origin.slice(0, at), domain, origin.slice(at + domain.length)];
}

export function warningWords(warning: Warning): string {
  switch (warning.kind) {
    case 'not_a_browser':
      return 'This says it is a web page, but it does not come from a browser. Only allow it if you know why.';
    case 'unknown_process':
      return 'HALO could not find out which program this comes from.';
    case 'international':
      return 'This address uses letters that can look like others. It is shown in its technical form.';
    case 'looks_like':
      return `This address looks like ${warning.known}, which you know. It is a different one.`;
    case 'insecure':
      return 'This page is not encrypted, so others on the network could have changed it.';
  }
}

const events: Record<string, string> = {
  identity_created: 'Identity created',
  identity_recovered: 'Identity restored from the 24 words',
  unlocked: 'Unlocked',
  locked: 'Locked',
  unlock_failed: 'Wrong passphrase',
  approved: 'Allowed',
  denied: 'Not allowed',
  used: 'Used',
  revoked: 'Access removed',
  passphrase_set: 'Passphrase set',
  passphrase_removed: 'Passphrase removed',
  phrase_shown: '24 words shown',
  phrase_confirmed: '24 words confirmed',
  phrase_forgotten: '24 words removed from this device',
  profile_changed: 'Profile changed',
  settings_changed: 'Settings changed',
  device_joined: 'Became one of your devices',
  device_admitted: 'Device added',
  device_agreed: 'Device added by another one agreed to',
  device_revoked: 'Device removed',
  device_renamed: 'Device renamed',
  alias_moved: 'Fresh account for an app',
  suspicious: 'Something odd',
  unreadable: 'Unreadable entry',
};

export const eventKinds = Object.entries(events);

export const eventWords = (event: string): string => events[event] ?? event;

const reasons: Record<string, string> = {
  user: 'by you',
  idle: 'after a while without use',
  session: 'with the screen',
  closing: 'because HALO ended',
  expired: 'nobody answered in time',
  'wrong words': 'the wrong words were picked',
};

/** The details of an entry in one line. */
export function activityDetail(entry: ActivityView): string {
  const details = new Map(entry.details.map(([name, value]) => [name, value]));
  const parts: string[] = [];
  const why = details.get('why');
  if (why) parts.push(reasons[why] ?? why);
  const label = details.get('label');
  if (label) parts.push(`“${label}”`);
  const what = details.get('what');
  if (what) parts.push(what);
  const as = details.get('as');
  if (as) parts.push(as === 'identity' ? 'as your real identity' : 'as a private account');
  const fields = details.get('fields');
  if (fields) parts.push(`sharing ${fields.split(' ').join(' and ')}`);
  return parts.join(', ');
}

/** "just now", "5 minutes ago", "yesterday", a date. */
export function ago(at: number, now: number): string {
  const minutes = Math.floor((now - at) / 60_000);
  if (minutes < 1) return 'just now';
  if (minutes < 60) return minutes === 1 ? 'a minute ago' : `${minutes} minutes ago`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return hours === 1 ? 'an hour ago' : `${hours} hours ago`;
  if (hours < 48) return 'yesterday';
  return new Date(at).toLocaleDateString(undefined, { dateStyle: 'medium' });
}

/** How hard a passphrase is to guess, roughly: what was typed, not what it means. */
export function strength(passphrase: string): { level: 0 | 1 | 2 | 3; said: string } {
  const kinds = [/[a-z]/, /[A-Z]/, /\d/, /[^A-Za-z\d]/].filter((kind) => kind.test(passphrase)).length;
  const distinct = new Set(passphrase).size;
  const score = Math.min(passphrase.length, distinct * 2) + kinds * 2;
  if (passphrase.length < 8) return { level: 0, said: 'At least 8 characters.' };
  if (score < 16) return { level: 1, said: 'Easy to guess. Four or five random words are better.' };
  if (score < 24) return { level: 2, said: 'Fair. Longer is better.' };
  return { level: 3, said: 'Good.' };
}

/** Bytes in units that people read. */
export function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  const power = Math.min(Math.floor(Math.log10(bytes) / 3), units.length);
  const value = bytes / 1000 ** power;
  return `${value < 10 ? value.toFixed(1) : Math.floor(value)} ${units[power - 1] ?? ''}`;
}

/** The app that a space is kept for: its origin, or its id. */
export function spaceApp(app: string): string {
  return app.replace(/^(web|native):/, '').split(' ')[0] ?? app;
}

/** What an item is called in a list: whatever of it reads like a name. */
export function itemTitle(data: unknown): string {
  if (typeof data === 'object' && data !== null) {
    const fields = data as Record<string, unknown>;
    for (const key of ['title', 'name', 'label', 'subject', 'content', 'text']) {
      const value = fields[key];
      if (typeof value === 'string' && value.trim() !== '') return value.slice(0, 120);
    }
  }
  return '(no title)';
}

/** A type without address and version: `example.org/type/Task:0.1.0` is a Task. */
export function typeName(type: string | null): string {
  return (type ?? 'Item').split(':')[0]?.split('/').pop() ?? 'Item';
}

/** Who wrote a version, as the end of a line. */
export function writer(by: ItemVersion['by']): string {
  if (by === null) return '';
  const device = by.device === null ? '' : ` on ${by.device}`;
  return by.app === null ? (by.device === null ? '' : `, by you${device}`) : `, by ${spaceApp(by.app)}${device}`;
}
