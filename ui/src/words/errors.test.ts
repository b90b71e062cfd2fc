import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

import { knownCodes, say } from './errors';

// Every code that the Rust crates can send; those that carry their own sentence are excused.
const sources = ['wallet/src/error.rs', 'store/src/error.rs', 'keystore/src/error.rs'];
const excused = ['wallet.bad_input', 'wallet.unsignable', 'wallet.held', 'wallet.session_over', 'wallet.forbidden', 'wallet.mismatch'];

describe('every error', () => {
  it('has words and a next step', () => {
    const codes = sources.flatMap((file) => {
      const text = readFileSync(`${process.cwd()}/../crates/${file}`, 'utf8');
      return [...text.matchAll(/"((?:wallet|store|keystore)\.[a-z_]+)"/g)].map(([, code]) => code ?? '');
    });
    expect(codes.length).toBeGreaterThan(30);
    expect(codes.filter((code) => !knownCodes.includes(code) && !excused.includes(code))).toEqual([]);
  });

  it('without words of its own says what the wallet said', () => {
    expect(say({ code: 'wallet.bad_input', message: 'the name is empty' }).happened).toBe('The name is empty.');
  });
});
