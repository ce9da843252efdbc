const SIZES = ['B', 'kB', 'MB', 'GB'];

/** Returns a number of bytes in the largest unit of which there is a whole one. */
export function bytes(count: number): string {
  const power = Math.min(
    Math.max(Math.floor(Math.log10(Math.max(count, 1)) / 3), 0),
    SIZES.length - 1,
  );
  const value = count / 1000 ** power;
  return `${power && value < 10 ? value.toFixed(1) : Math.round(value)} ${
    SIZES[power]
  }`;
}

/** A time that begins with `from` and ends before `to`, as days (`2026-10-01`) or times (`2026-10-01T12:00:00Z`) in UTC. */
export interface Period {
  from: string;
  to: string;
}

/** Returns the quarter before the one that a time is in: what auditors ask for. */
export function lastQuarter(now: Date): Period {
  const first = Math.floor(now.getUTCMonth() / 3) * 3;
  const day = (month: number) =>
    new Date(Date.UTC(now.getUTCFullYear(), month, 1))
      .toISOString()
      .slice(0, 10);
  return { from: day(first - 3), to: day(first) };
}

/** Returns a day or a time as a time; nothing that is one for anything else. */
export function asTime(text: string): string {
  if (/^\d{4}-\d{2}-\d{2}$/.test(text)) {
    return `${text}T00:00:00Z`;
  }
  return /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/.test(text) ? text : '';
}

/** Returns why a period can't be exported; nothing if it can. */
export function wrong({ from, to }: Period, now: Date): string | undefined {
  const [begin, end] = [from, to].map(one => Date.parse(asTime(one)));
  if (Number.isNaN(begin) || Number.isNaN(end)) {
    return 'Days are written as 2026-10-01, times as 2026-10-01T12:00:00Z.';
  }
  if (begin >= end) {
    return 'It has to begin before it ends.';
  }
  return end > now.getTime()
    ? `It has to be over: it can end at ${now
        .toISOString()
        .slice(0, 19)}Z at the latest.`
    : undefined;
}
