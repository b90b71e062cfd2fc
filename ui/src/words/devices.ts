// Sentences about devices, invitations and sync.

import type { BroughtView, DeviceView, Hindrance, InvitationState, InvitationView, JoinView, OtherSide, PathView, ServerState } from '../ipc/port';
import { ago, size } from '.';

const platforms: Record<string, string> = {
  linux: 'Linux',
  macos: 'macOS',
  windows: 'Windows',
  android: 'Android',
  ios: 'iOS',
};

export const platformName = (platform: string | null): string =>
  platform === null || platform === '' ? 'Unknown system' : (platforms[platform] ?? platform);

/** When a device was there last. */
export function presence(device: DeviceView, now: number): string {
  if (device.revoked !== null) return `Removed ${ago(device.revoked, now)}`;
  if (device.current) return 'This computer';
  if (device.suspended) return 'Paused';
  if (device.online) return 'Connected';
  return device.last_seen === null ? 'Not seen yet' : `Last seen ${ago(device.last_seen, now)}`;
}

/** A device that was let in a short while ago, for as long as one press undoes it. */
export const isNew = (device: DeviceView, now: number): boolean =>
  device.revoked === null && !device.current && device.probation_until !== null && device.probation_until > now;

/** A device that is not let in, by what it calls itself. */
export const stranger = ({ label }: { label: string }): string => (label === '' ? 'a device without a name' : `“${label}”`);

const enumerated = (names: string[]): string => (names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1) ?? ''}`);

/** Devices in one phrase, this computer last. */
export const listed = (devices: DeviceView[]): string =>
  enumerated([...devices.filter(({ current }) => !current).map(({ label }) => `“${label}”`), ...devices.filter(({ current }) => current).map(() => 'this computer')]);

/** Devices that are not let in, in one phrase. */
export const strangers = (devices: BroughtView[]): string => enumerated(devices.map((device) => `${stranger(device)} (${platformName(device.platform)})`));

/** Why it cannot be agreed with here, and where it can. */
export const hindranceWords: Record<Hindrance, string> = {
  new: 'If it is yours, agree on another device: this computer is new itself.',
  let_it_in: 'If it is yours, agree on another device: this computer added it itself.',
  removes_this: 'You cannot agree here: that would put this computer out.',
  others_first: 'If it is yours, decide about the others first.',
  in_vain: 'You cannot agree here: it would not be let in all the same.',
};

/** Who is on the other side, by what they say of themselves. */
export const other = (side: OtherSide | null): string =>
  side === null ? 'A device' : `“${side.label}” (${platformName(side.platform)})`;

/** Whether anything may still come of it. */
export const isOver = (state: InvitationState): boolean =>
  ['SUCCESS', 'CANCELLED', 'TIMEOUT', 'ERROR', 'EXPIRED'].includes(state);

/** What the trusted device says while it goes on. */
export function invitationWords(invitation: InvitationView): string {
  switch (invitation.state) {
    case 'INIT':
      return invitation.code_by === 'trusted' ? 'Waiting for the new device to scan the code.' : 'Looking for the new device.';
    case 'CONNECTING':
      return 'A device has read the code. Connecting.';
    case 'CONNECTED':
      return `${other(invitation.guest)} is there. Its six digits will be on its screen in a moment.`;
    case 'READY_FOR_AUTHENTICATION':
      return `${other(invitation.guest)} wants to become one of your devices.`;
    case 'AUTHENTICATING':
      return `Letting ${other(invitation.guest)} in.`;
    case 'SUCCESS':
      return `${other(invitation.guest)} is one of your devices now.`;
    case 'CANCELLED':
      return 'The invitation was withdrawn.';
    case 'TIMEOUT':
      return 'The other device went silent.';
    case 'ERROR':
      return 'The device was not let in.';
    case 'EXPIRED':
      return 'The code was not used in time.';
  }
}

/** What the new device says while it goes on. */
export function joinWords(join: JoinView): string {
  const host = join.host === null ? 'your other device' : `“${join.host.label}”`;
  switch (join.state) {
    case 'INIT':
      return join.code_by === 'new' ? 'Waiting for your other device to scan the code.' : 'Looking for your other device.';
    case 'CONNECTING':
      return `Connecting to ${host}.`;
    case 'CONNECTED':
      return `Connected to ${host}.`;
    case 'READY_FOR_AUTHENTICATION':
      return `Type these six digits on ${host}.`;
    case 'AUTHENTICATING':
      return `${host} is letting this computer in.`.replace(/^./, (first) => first.toUpperCase());
    case 'SUCCESS':
      return join.in_step ? 'Everything is here.' : 'This computer is yours now. Your data is on its way.';
    case 'CANCELLED':
      return 'Joining was cancelled.';
    case 'TIMEOUT':
      return 'The other device went silent.';
    case 'ERROR':
      return 'This computer was not let in.';
    case 'EXPIRED':
      return 'The code was not used in time.';
  }
}

export const pathWords: Record<PathView, string> = {
  direct: 'Direct, over the internet',
  lan: 'Direct, in this network',
  relay: 'Relayed by a server, sealed',
};

export const serverWords: Record<ServerState, string> = {
  connecting: 'Connecting',
  connected: 'Connected',
  waiting: 'Does not answer; tried again by itself',
};

/** What a connection carried. */
export const carried = (bytesIn: number, bytesOut: number): string => `${size(bytesIn)} in, ${size(bytesOut)} out`;

/** What is missing on either side of a space. */
export function lacking(here: number, there: number): string {
  if (here === 0 && there === 0) return 'in step';
  const parts = [];
  if (here > 0) parts.push(here === 1 ? '1 change to come' : `${here} changes to come`);
  if (there > 0) parts.push(there === 1 ? '1 change to send' : `${there} changes to send`);
  return parts.join(', ');
}
