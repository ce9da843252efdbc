/** Returns what a person goes by, from a text with one a line. */
export function identifiersOf(text: string): string[] {
  return [
    ...new Set(
      text
        .split(/\r?\n/)
        .map(line => line.trim())
        .filter(line => line.length > 0),
    ),
  ];
}
