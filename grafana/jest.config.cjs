// Packages that come as ECMAScript modules only, and so need the transform too.
module.exports = {
  testEnvironment: "jsdom",
  roots: ["<rootDir>/src"],
  transform: { "\\.[cm]?[jt]sx?$": "<rootDir>/scripts/jest-esbuild.cjs" },
  transformIgnorePatterns: [],
  moduleNameMapper: { "\\.(css|svg)$": "<rootDir>/scripts/jest-empty.cjs" },
  setupFiles: ["<rootDir>/scripts/jest-setup.cjs"],
};
