// How the key of a new profile is protected: by the keychain, by a passphrase, or both.

import type { KeychainChoice, KeychainView } from '../ipc/port';

export class ProtectionState {
  passphrase = $state('');
  again = $state('');
  wantsPassphrase = $state(false);
  readonly keychain: () => KeychainView;

  constructor(keychain: () => KeychainView) {
    this.keychain = keychain;
  }

  get hasKeychain(): boolean {
    return this.keychain() === 'ready';
  }

  /** A passphrase has to be typed. */
  get asks(): boolean {
    return !this.hasKeychain || this.wantsPassphrase;
  }

  get differ(): boolean {
    return this.again !== '' && this.again !== this.passphrase;
  }

  get complete(): boolean {
    return this.keychain() !== 'unknown' && (!this.asks || (this.passphrase.length >= 8 && this.again === this.passphrase));
  }

  /** As the wallet takes it. */
  get chosen(): { keychain: KeychainChoice; passphrase?: string } {
    return { keychain: this.hasKeychain ? 'os' : 'none', ...(this.asks ? { passphrase: this.passphrase } : {}) };
  }

  forget() {
    this.passphrase = this.again = '';
  }
}
