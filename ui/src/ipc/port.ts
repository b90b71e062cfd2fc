// What the window can ask of the wallet: one method a command, in the words of the generated types.

import type { ActivityView } from './bindings/ActivityView';
import type { Approval } from './bindings/Approval';
import type { ItemVersion } from './bindings/ItemVersion';
import type { ItemView } from './bindings/ItemView';
import type { KeychainView } from './bindings/KeychainView';
import type { Settings } from './bindings/Settings';
import type { Snapshot } from './bindings/Snapshot';
import type { SpaceDetails } from './bindings/SpaceDetails';

export type { ActivityView, Approval, ItemVersion, ItemView, KeychainView, Settings, Snapshot, SpaceDetails };
export type { AppView } from './bindings/AppView';
export type { AskerView } from './bindings/AskerView';
export type { IdentityView } from './bindings/IdentityView';
export type { ProfileField } from './bindings/ProfileField';
export type { RequestView } from './bindings/RequestView';
export type { Scope } from './bindings/Scope';
export type { Theme } from './bindings/Theme';
export type { Trouble } from './bindings/Trouble';
export type { Warning } from './bindings/Warning';

export type KeychainChoice = 'auto' | 'os' | 'none';
export type Words = [string, string, string];

/** What a failed command throws: a stable code, and what happened. */
export interface Failure {
  code: string;
  message: string;
}

export interface Port {
  snapshot(): Promise<Snapshot>;
  onSnapshot(hear: (snapshot: Snapshot) => void): Promise<void>;
  onNavigate(hear: (to: string) => void): Promise<void>;
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
  /** `query` in DXOS's form. */
  items(id: string, query: object): Promise<ItemView[]>;
  putItem(id: string, item: { id: string; data: unknown }): Promise<ItemView>;
  setItemDeleted(id: string, item: string, deleted: boolean): Promise<void>;
  itemVersions(id: string, item: string): Promise<ItemVersion[]>;
  about(): Promise<{ version: string }>;
}

/** Reads whatever was thrown. */
export function failure(thrown: unknown): Failure {
  if (typeof thrown === 'object' && thrown !== null && 'code' in thrown && 'message' in thrown) {
    return { code: String(thrown.code), message: String(thrown.message) };
  }
  return { code: 'ui.unknown', message: String(thrown) };
}
