import svelte from 'eslint-plugin-svelte';
import ts from 'typescript-eslint';

// The tiers: kit knows nothing of wallets, concepts know state, screens compose, only ipc knows Tauri.
const fence = (files, patterns, message) => ({
  files,
  rules: { 'no-restricted-imports': ['error', { patterns: [{ group: patterns, message }] }] },
});

export default ts.config(
  { ignores: ['dist', 'dist-shots', 'src/ipc/bindings'] },
  ...ts.configs.recommended,
  ...svelte.configs.recommended,
  { files: ['**/*.svelte', '**/*.svelte.ts'], languageOptions: { parserOptions: { parser: ts.parser } } },
  fence(['src/kit/**'], ['**/ipc/**', '**/state/**', '**/screens/**', '@tauri-apps/*'], 'the kit knows nothing of wallets'),
  fence(['src/screens/**', 'src/approval/**', 'src/words/**'], ['**/ipc/tauri*', '@tauri-apps/*'], 'only ipc talks to the shell'),
  fence(['src/state/**'], ['**/screens/**', '**/kit/**', '@tauri-apps/*'], 'state knows no pixels'),
  { rules: { '@typescript-eslint/no-non-null-assertion': 'error' } },
);
