import js from "@eslint/js";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["**/node_modules/**", "**/vendor/**", ".venv/**", "data/**", "dist/**", "build/**"] },
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
);
