module.exports = require('@backstage/cli/config/eslint-factory')(__dirname, {
  rules: {
    // What a file is about comes first, what it is made of after it.
    '@typescript-eslint/no-use-before-define': [
      'error',
      { functions: false, variables: false },
    ],
    // What scrolls has to be reached by keyboard (axe: scrollable-region-focusable).
    'jsx-a11y/no-noninteractive-tabindex': 'off',
  },
});
