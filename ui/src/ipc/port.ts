// What the window can ask of the wallet: one method a command, in the words of the generated types.

import type { ActivityView } from './bindings/ActivityView';
import type { Approval } from './bindings/Approval';
import type { Compacted } from './bindings/Compacted';
import type { DoctorReport } from './bindings/DoctorReport';
import type { InvitationView } from './bindings/InvitationView';
import type { ItemVersion } from './bindings/ItemVersion';
import type { ItemView } from './bindings/ItemView';
import type { JoinView } from './bindings/JoinView';
import type { KeychainView } from './bindings/KeychainView';
import type { QrView } from './bindings/QrView';
import type { RefusedView } from './bindings/RefusedView';
import type { Removal } from './bindings/Removal';
import type { Settings } from './bindings/Settings';
import type { Snapshot } from './bindings/Snapshot';
import type { SpaceDetails } from './bindings/SpaceDetails';
import type { SyncView } from './bindings/SyncView';

export type {
  ActivityView,
  Approval,
  Compacted,
  DoctorReport,
  InvitationView,
  ItemVersion,
  ItemView,
  JoinView,
  KeychainView,
  QrView,
  Removal,
  Settings,
  Snapshot,
  SpaceDetails,
  SyncView,
};
export type { AppView } from './bindings/AppView';
export type { AskerView } from './bindings/AskerView';
export type { DeviceView } from './bindings/DeviceView';
export type { Hindrance } from './bindings/Hindrance';
export type { IdentityView } from './bindings/IdentityView';
export type { InvitationState } from './bindings/InvitationState';
export type { KnownAlias } from './bindings/KnownAlias';
export type { LinkView } from './bindings/LinkView';
export type { OtherSide } from './bindings/OtherSide';
export type { PathView } from './bindings/PathView';
export type { ProfileField } from './bindings/ProfileField';
export type { BroughtView } from './bindings/BroughtView';
export type { RefusedView } from './bindings/RefusedView';
export type { RequestView } from './bindings/RequestView';
export type { Scope } from './bindings/Scope';
export type { ServerState } from './bindings/ServerState';
export type { Theme } from './bindings/Theme';
export type { Trouble } from './bindings/Trouble';
export type { Warning } from './bindings/Warning';

export type KeychainChoice = 'auto' | 'os' | 'none';
export type Words = [string, string, string];

/** How a new device is called and protected. */
export interface Joining {
  label: string;
  passphrase?: string;
  keychain: KeychainChoice;
}

/** What is to change of the network; what is left out stays. Of a TURN server without a credential the known one stays. */
export interface NetworkWanted {
  servers?: string[];
  lan?: boolean;
  turn?: { url: string; username: string; credential?: string }[];
}

/** How far a part of something long has come. */
export interface Step {
  part: string;
  done: number;
  of: number;
}

/** A screen to go to, and the code that a link brought along. */
export interface Destination {
  to: string;
  code?: string;
}

/** What a failed command throws: a stable code, and what happened. */
export interface Failure {
  code: string;
  message: string;
}

export interface Port {
  snapshot(): Promise<Snapshot>;
  onSnapshot(hear: (snapshot: Snapshot) => void): Promise<void>;
  onNavigate(hear: (destination: Destination) => void): Promise<void>;
  probeKeychain(): Promise<KeychainView>;
  createIdentity(wanted: { name: string; passphrase?: string; keychain: KeychainChoice }): Promise<void>;
  recoverIdentity(wanted: {
    phrase: string;
    name: string;
    passphrase?: string;
    keychain: KeychainChoice;
  }): Promise<void>;
  unlock(passphrase: string | undefined, acceptOlder: boolean): Promise<void>;
  lock(): Promise<void>;
  setPassphrase(current: string | undefined, next: string | undefined): Promise<void>;
  revealPhrase(passphrase?: string): Promise<string>;
  phraseQuiz(): Promise<number[]>;
  confirmPhrase(answers: [number, string][]): Promise<void>;
  forgetPhrase(passphrase?: string): Promise<void>;
  setName(name: string): Promise<void>;
  setPicture(picture: number[] | null): Promise<void>;
  setSettings(settings: Settings): Promise<void>;
  touch(): Promise<void>;
  approve(id: string, approval: Approval): Promise<void>;
  deny(id: string): Promise<void>;
  promptMoved(id: string): Promise<void>;
  revoke(id: string): Promise<void>;
  activity(wanted: { before?: number; limit: number; event?: string; app?: string }): Promise<ActivityView[]>;
  /** Hears whenever spaces or what is in them may have changed; returns how to stop. */
  onSpaces(hear: () => void): Promise<() => void>;
  spaces(): Promise<SpaceDetails[]>;
  addSpace(name: string): Promise<SpaceDetails>;
  renameSpace(id: string, name: string): Promise<void>;
  shareSpace(id: string, grant: string): Promise<void>;
  unshareSpace(id: string, app: string): Promise<void>;
  deleteSpace(id: string): Promise<void>;
  compactSpace(id: string): Promise<Compacted>;
  /** Which space is on screen, if any: what is missing of it comes first. */
  lookAtSpace(id: string | null): Promise<void>;
  /** `query` in DXOS's form. */
  items(id: string, query: object): Promise<ItemView[]>;
  putItem(id: string, item: { id: string; data: unknown }): Promise<ItemView>;
  setItemDeleted(id: string, item: string, deleted: boolean): Promise<void>;
  itemVersions(id: string, item: string): Promise<ItemVersion[]>;
  doctor(rebuild: boolean, hear: (step: Step) => void): Promise<DoctorReport>;
  inviteDevice(): Promise<InvitationView>;
  addAskingDevice(url: string, passphrase: string | undefined): Promise<InvitationView>;
  enterDigits(id: string, digits: string): Promise<void>;
  cancelInvitation(id: string): Promise<void>;
  joinDevice(wanted: Joining & { url: string }): Promise<void>;
  askToJoin(wanted: Joining): Promise<void>;
  cancelJoin(): Promise<void>;
  renameDevice(key: string, label: string): Promise<void>;
  removalOf(key: string): Promise<Removal>;
  revokeDevice(key: string, proof: { passphrase?: string; phrase?: string }): Promise<Removal>;
  undoDevice(key: string): Promise<void>;
  /** Agrees with what was shown, and with what it would do. */
  agreeDevice(shown: RefusedView, passphrase: string | undefined): Promise<void>;
  freshAlias(grant: string): Promise<void>;
  /** Hears whenever connections, or what they carry, may have changed; returns how to stop. */
  onSync(hear: () => void): Promise<() => void>;
  syncStatus(): Promise<SyncView>;
  setNetwork(wanted: NetworkWanted): Promise<void>;
  /** A code as a picture to be scanned. */
  drawCode(text: string): Promise<QrView>;
  /** The code in a picture, if there is one. */
  readCode(picture: Uint8Array): Promise<string | null>;
  about(): Promise<{ version: string; device_label: string }>;
}

/** Reads whatever was thrown. */
export function failure(thrown: unknown): Failure {
  if (typeof thrown === 'object' && thrown !== null && 'code' in thrown && 'message' in thrown) {
    return { code: String(thrown.code), message: String(thrown.message) };
  }
  return { code: 'ui.unknown', message: String(thrown) };
}
