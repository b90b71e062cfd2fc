// The port over Tauri's bridge. The names are those of the commands in the shell.

import { Channel, invoke } from '@tauri-apps/api/core';
import { listen } from '@tauri-apps/api/event';

import type { Destination, Port } from './port';

export const tauri: Port = {
  snapshot: () => invoke('snapshot'),
  onSnapshot: async (hear) => {
    await listen('snapshot', (event) => hear(event.payload as Parameters<typeof hear>[0]));
  },
  onNavigate: async (hear) => {
    const go = async () => {
      const destination = await invoke<Destination | null>('take_destination');
      if (destination) hear(destination);
    };
    await listen('navigate', () => void go());
    // The link that started the app came before there was a page.
    await go();
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
  compactSpace: (id) => invoke('compact_space', { id }),
  lookAtSpace: (id) => invoke('look_at_space', { id }),
  items: (id, query) => invoke('items', { id, query }),
  putItem: (id, item) => invoke('put_item', { id, item }),
  setItemDeleted: (id, item, deleted) => invoke('set_item_deleted', { id, item, deleted }),
  itemVersions: (id, item) => invoke('item_versions', { id, item }),
  doctor: (rebuild, hear) => {
    const steps = new Channel<Parameters<typeof hear>[0]>();
    steps.onmessage = hear;
    return invoke('doctor', { rebuild, steps });
  },
  inviteDevice: () => invoke('invite_device'),
  addAskingDevice: (url, passphrase) => invoke('add_asking_device', { url, passphrase }),
  enterDigits: (id, digits) => invoke('enter_digits', { id, digits }),
  cancelInvitation: (id) => invoke('cancel_invitation', { id }),
  joinDevice: (wanted) => invoke('join_device', { ...wanted }),
  askToJoin: (wanted) => invoke('ask_to_join', { ...wanted }),
  cancelJoin: () => invoke('cancel_join'),
  renameDevice: (key, label) => invoke('rename_device', { key, label }),
  removalOf: (key) => invoke('removal_of', { key }),
  revokeDevice: (key, proof) => invoke('revoke_device', { key, ...proof }),
  undoDevice: (key) => invoke('undo_device', { key }),
  agreeDevice: ({ admission, brings, puts_out: putsOut }, passphrase) =>
    invoke('agree_device', { admission, brings: brings.map(({ device_key }) => device_key), putsOut, passphrase }),
  freshAlias: (grant) => invoke('fresh_alias', { grant }),
  onSync: (hear) => listen('sync', () => hear()),
  syncStatus: () => invoke('sync_status'),
  setNetwork: (wanted) => invoke('set_network', { ...wanted }),
  drawCode: (text) => invoke('draw_code', { text }),
  // As bytes: a list of numbers would be four times as long.
  readCode: (picture) => invoke('read_code', picture),
  about: () => invoke('about'),
};
