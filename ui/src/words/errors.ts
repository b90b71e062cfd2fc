// Error code → what happened, and what to do. A code without an entry shows what the wallet said.

import type { Failure } from '../ipc/port';

export interface Said {
  happened: string;
  todo: string;
}

const known: Record<string, Said> = {
  'keystore.wrong_passphrase': {
    happened: 'That is not the passphrase.',
    todo: 'Check caps lock and keyboard layout, and try again.',
  },
  'keystore.passphrase_required': { happened: 'A passphrase is needed.', todo: 'Type it and try again.' },
  'keystore.entry_missing': {
    happened: 'Your keychain no longer has the key for this profile.',
    todo: 'Nothing was deleted. If you use several keychains or restored your system, bring that keychain back and try again. If that cannot be done, move the folder named below to a safe place and start HALO again: it offers to restore your 24 words.',
  },
  'keystore.entry_changed': {
    happened: 'The key for this profile in your keychain was changed by another program.',
    todo: 'Restore your keychain from a copy, and try again. If that cannot be done, move the folder named below to a safe place and start HALO again: it offers to restore your 24 words.',
  },
  'keystore.keychain_locked': {
    happened: 'Your keychain is locked.',
    todo: 'Unlock it (signing in to your desktop usually does), then try again.',
  },
  'keystore.no_keychain': {
    happened: 'This computer has no keychain that HALO can use.',
    todo: 'Start one (for instance GNOME Keyring or KWallet), or protect your key with a passphrase instead.',
  },
  'keystore.keychain_denied': {
    happened: 'Your keychain refused.',
    todo: 'Look at the settings of your keychain, then try again.',
  },
  'keystore.keychain_timed_out': {
    happened: 'Your keychain did not answer. It may be waiting for you to unlock it.',
    todo: 'Look for its window, unlock it, and try again.',
  },
  'keystore.keychain_unreliable': {
    happened: 'Your keychain does not keep what it is given.',
    todo: 'Protect your key with a passphrase instead.',
  },
  'keystore.root_mismatch': {
    happened: 'The key does not belong to the data of this profile.',
    todo: 'The data may be another profile’s. Put the right folder back, and try again.',
  },
  'keystore.sealed_damaged': {
    happened: 'The file with your sealed key is damaged.',
    todo: 'Nothing was changed. Put back a copy of the profile folder, and try again. If that cannot be done, move the folder named below to a safe place and start HALO again: it offers to restore your 24 words.',
  },
  'keystore.kdf_below_floor': {
    happened: 'The file with your sealed key was edited so that it is easier to guess.',
    todo: 'Do not type your passphrase. Put back a copy of the profile folder.',
  },
  'keystore.kdf_above_ceiling': {
    happened: 'The file with your sealed key was edited so that it cannot be opened.',
    todo: 'Put back a copy of the profile folder.',
  },
  'keystore.newer_format': {
    happened: 'A newer version of HALO wrote this profile.',
    todo: 'Install the newer version again.',
  },
  'keystore.file_needs_passphrase': {
    happened: 'Without a keychain the passphrase is the only lock, so it cannot be removed.',
    todo: 'You can change it.',
  },
  'keystore.bad_phrase': { happened: 'These are not the 24 words.', todo: 'Compare them with your paper, one by one.' },
  'keystore.sealed_value': {
    happened: 'Something in this profile was sealed by another device, or is damaged.',
    todo: 'Put back a copy of the profile folder.',
  },
  'keystore.system': { happened: 'The system is short of memory or randomness.', todo: 'Close something, and try again.' },
  'keystore.io': { happened: 'A file could not be read or written.', todo: 'Check free space and permissions.' },
  'store.held': { happened: 'Another program has this profile open.', todo: 'End it, and try again.' },
  'store.missing': { happened: 'The data of this profile is missing.', todo: 'Put the profile folder back.' },
  'store.wrong_key': {
    happened: 'The data of this profile is damaged, or belongs to another profile.',
    todo: 'Put back a copy of the profile folder.',
  },
  'store.damaged': { happened: 'The data of this profile is damaged.', todo: 'Put back a copy of the profile folder.' },
  'store.newer_version': {
    happened: 'A newer version of HALO wrote this profile.',
    todo: 'Install the newer version again.',
  },
  'store.in_use': { happened: 'Another program has the data open.', todo: 'End it, and try again.' },
  'store.disk_full': { happened: 'The disk is full.', todo: 'Free some space, and try again.' },
  'store.io': { happened: 'The data could not be read or written.', todo: 'Check free space and permissions.' },
  'store.refused': { happened: 'That does not fit what is stored.', todo: 'Try again.' },
  'store.identity_exists': { happened: 'This profile has an identity already.', todo: 'Use another profile.' },
  'wallet.rolled_back': {
    happened: 'The data of this profile is older than it was when it was last open.',
    todo: 'If you restored a backup on purpose, you can go on with it. If not, somebody may have put an old copy there: apps you had removed could be back.',
  },
  'wallet.locked': { happened: 'HALO is locked.', todo: 'Unlock it first.' },
  'wallet.no_identity': { happened: 'There is no identity yet.', todo: 'Create one first.' },
  'wallet.identity_exists': { happened: 'This profile has an identity already.', todo: 'Use another profile for another one.' },
  'wallet.not_found': { happened: 'That is not there any more.', todo: 'It may have been answered or removed elsewhere.' },
  'wallet.too_soon': { happened: 'That was very quick.', todo: 'Read the request, then answer.' },
  'wallet.wrong_words': {
    happened: 'Those are not the words on the page, so the request was denied.',
    todo: 'If you picked by mistake, sign in again in the app.',
  },
  'wallet.busy': { happened: 'HALO is busy with something else.', todo: 'Wait a moment, and try again.' },
  'wallet.damaged': { happened: 'The data of this profile does not make sense.', todo: 'Put back a copy of the profile folder.' },
  'wallet.closed': { happened: 'HALO is closing.', todo: 'Start it again.' },
};

/** What to tell the user. */
export function say(failed: Failure): Said {
  const said = known[failed.code];
  if (said) return said;
  const sentence = failed.message.charAt(0).toUpperCase() + failed.message.slice(1);
  return { happened: /[.!?]$/.test(sentence) ? sentence : `${sentence}.`, todo: '' };
}

export const knownCodes = Object.keys(known);
