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
  'wallet.awaited': {
    happened: 'The account that this app knows has not come from your other devices yet.',
    todo: 'Switch on the device where you made it, and try again.',
  },
  'wallet.changed': {
    happened: 'By now this would do something else than what you were shown. Nothing was done.',
    todo: 'Cancel, look at it again, and decide then.',
  },
  'wallet.busy': { happened: 'HALO is busy with something else.', todo: 'Wait a moment, and try again.' },
  'wallet.damaged': { happened: 'The data of this profile does not make sense.', todo: 'Put back a copy of the profile folder.' },
  'invitation.burnt': {
    happened: 'The digits did not match, so the code was withdrawn. Nobody was let in.',
    todo: 'If you mistyped, make a new code. If you are sure that you typed what the new device showed, somebody else may have read your code first: make the new one where nobody can see it.',
  },
  'invitation.expired': { happened: 'The code was not used in time.', todo: 'Make a new one, and be a little quicker.' },
  'invitation.nobody_there': { happened: 'No device has read this code yet.', todo: 'Let the new device read it first.' },
  'invitation.cancelled': { happened: 'The invitation was withdrawn.', todo: 'Make a new code when you are ready.' },
  'invitation.timeout': {
    happened: 'The other device went silent.',
    todo: 'See that HALO is open there and that both are online, then use a new code.',
  },
  'invitation.error': { happened: 'The device was not let in.', todo: 'Use a new code.' },
  'invitation.taken': {
    happened: 'Another device is using this code at the moment.',
    todo: 'Look at the other screen: if that is not this computer, withdraw the code there and make a new one.',
  },
  'invitation.used': { happened: 'This code was used already.', todo: 'Every code works once. Make a new one.' },
  'invitation.misunderstood': {
    happened: 'The two devices did not understand each other.',
    todo: 'Update HALO on both, and use a new code.',
  },
  'invitation.failed': { happened: 'The other device could not go on.', todo: 'Look at its screen, and try again with a new code.' },
  'invitation.malformed': {
    happened: 'This is not a code that HALO makes.',
    todo: 'Read it once more, or copy the whole link.',
  },
  'invitation.wrong_direction': {
    happened: 'This code was made for the other direction.',
    todo: 'If this computer is the new one, choose “Add a device” on the other. If this one has your identity, look in Settings for “A new device without a camera”.',
  },
  'invitation.unreachable': {
    happened: 'The other device could not be reached.',
    todo: 'See that both are online, in the same network or with the same server, and try again.',
  },
  'device.probation': {
    happened: 'This computer is new itself, and cannot do that during its first day.',
    todo: 'Do it on another device of yours.',
  },
  'device.phrase_needed': {
    happened: 'That device was there before this one, so it could remove this one in turn.',
    todo: 'Type your 24 words: they always have the last word.',
  },
  'ui.no_camera': { happened: 'This computer has no camera that HALO can use.', todo: 'Use a picture or the link instead.' },
  'ui.camera_refused': {
    happened: 'HALO may not use the camera.',
    todo: 'Allow it in the settings of your desktop, or use a picture or the link instead.',
  },
  'ui.camera_failed': { happened: 'The camera does not work.', todo: 'Another program may be using it. Use a picture or the link instead.' },
  'ui.no_code': { happened: 'There is no code in this picture.', todo: 'Take one that shows the whole code, sharp and straight.' },
  'ui.picture_too_large': { happened: 'This picture is too large.', todo: 'Cut out the part with the code, and try again.' },
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
