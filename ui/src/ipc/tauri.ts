// The port over Tauri's bridge. The names are those of the commands in the shell.

import { invoke } from '@tauri-apps/api/core';
import { listen } from '@tauri-apps/api/event';

import type { Port } from './port';

export const tauri: Port = {
  snapshot: () => invoke('snapshot'),
  onSnapshot: async (hear) => {
    await listen('snapshot', (event) => hear(event.payload as Parameters<typeof hear>[0]));
  },
  onNavigate: async (hear) => {
    await listen('navigate', (event) => hear((event.payload as { to: string }).to));
  },
  probeKeychain: () => invoke('probe_keychain'),
  createIdentity: (wanted) => invoke('create_identity', { ...wanted }),
  recoverIdentity: (wanted) => invoke('recover_identity', { ...wanted }),
  unlock: (passphrase, acceptOlder) => invoke('unlock', { passphrase, acceptOlder }),
  lock: () => invoke('lock'),
  setPassphrase: (current, next) => invoke('set_passphrase', { current, new: next }),
  revealPhrase: (passphrase) => invoke('reveal_phrase', { passphrase }),
  phraseQuiz: () => invoke('phrase_quiz'),
  confirmPhrase: (answers) => invoke('confirm_phrase', { answers }),
  forgetPhrase: (passphrase) => invoke('forget_phrase', { passphrase }),
  setName: (name) => invoke('set_profile', { name }),
  // No bytes at all: the picture goes.
  setPicture: (picture) => invoke('set_profile', { avatar: picture ?? [] }),
  setSettings: (settings) => invoke('set_settings', { settings }),
  touch: () => invoke('touch'),
  approve: (id, approval) => invoke('approve', { id, approval }),
  deny: (id) => invoke('deny', { id }),
  promptMoved: (id) => invoke('prompt_moved', { id }),
  revoke: (id) => invoke('revoke', { id }),
  activity: (wanted) => invoke('activity', { ...wanted }),
  onSpaces: (hear) => listen('spaces', () => hear()),
  spaces: () => invoke('spaces'),
  addSpace: (name) => invoke('add_space', { name }),
  renameSpace: (id, name) => invoke('rename_space', { id, name }),
  shareSpace: (id, grant) => invoke('share_space', { id, grant }),
  unshareSpace: (id, app) => invoke('unshare_space', { id, app }),
  deleteSpace: (id) => invoke('delete_space', { id }),
  items: (id, query) => invoke('items', { id, query }),
  putItem: (id, item) => invoke('put_item', { id, item }),
  setItemDeleted: (id, item, deleted) => invoke('set_item_deleted', { id, item, deleted }),
  itemVersions: (id, item) => invoke('item_versions', { id, item }),
  about: () => invoke('about'),
};
