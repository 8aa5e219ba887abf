import js from "@eslint/js";
import tseslint from "typescript-eslint";

export default tseslint.config(
  {
    ignores: [
      ...["**/node_modules/**", "**/vendor/**", ".venv/**", "data/**", "dist/**", "build/**"],
      "http_api/dashboard/preact-htm.js", // not ours, and minified
    ],
  },
  js.configs.recommended,
  ...tseslint.configs.strict,
  {
    rules: {
      // A leading underscore marks an argument that a fixed signature forces on us.
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      // Baileys' and protobuf's optional fields are asserted right after they were checked.
      "@typescript-eslint/no-non-null-assertion": "off",
    },
  },
  {
    files: ["http_api/dashboard/*.js"], // run by browsers
    languageOptions: {
      globals: Object.fromEntries(
        [
          ...["AbortController", "AbortSignal", "FormData", "Intl", "TextDecoderStream", "URL"],
          ...["addEventListener", "removeEventListener", "document", "location", "console", "crypto"],
          ...["fetch", "localStorage", "sessionStorage"],
          ...["clearInterval", "clearTimeout", "setInterval", "setTimeout"],
        ].map((name) => [name, "readonly"]),
      ),
    },
  },
);
