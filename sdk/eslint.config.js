import js from "@eslint/js";
import ts from "typescript-eslint";

export default ts.config(
  { ignores: ["dist"] },
  js.configs.recommended,
  {
    files: ["src/**/*.ts"],
    extends: [ts.configs.strictTypeChecked, ts.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // Numbers in a sentence need no ceremony.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "no-console": "error",
    },
  },
  {
    files: ["test/**/*.mjs", "*.js"],
    languageOptions: {
      globals: Object.fromEntries(
        ["crypto", "fetch", "URL", "URLSearchParams", "process", "setTimeout", "clearTimeout", "Buffer", "structuredClone",
          "TextEncoder", "queueMicrotask", "setInterval", "clearInterval", "setImmediate", "AbortController", "AbortSignal", "CryptoKey"].map((name) => [name, "readonly"]),
      ),
    },
  },
);
