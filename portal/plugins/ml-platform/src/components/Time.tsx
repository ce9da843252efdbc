const RELATIVE = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const EXACT = new Intl.DateTimeFormat('en', {
  dateStyle: 'medium',
  timeStyle: 'medium',
  timeZone: 'UTC',
});
const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
];

/** Returns how long ago a time is, in words. */
export function ago(time: string, now = Date.now()): string {
  const seconds = (Date.parse(time) - now) / 1000;
  const [unit, length] =
    UNITS.find(([, size]) => Math.abs(seconds) >= size) ??
    UNITS[UNITS.length - 1];
  return RELATIVE.format(Math.round(seconds / length), unit);
}

/** Returns a time in UTC. */
export function utc(time: string): string {
  return `${EXACT.format(Date.parse(time))} UTC`;
}

/** Returns a length of time in seconds in words. */
export function lasting(seconds: number): string {
  if (seconds < 90) {
    return `${Math.round(seconds)} s`;
  }
  return seconds < 5400
    ? `${Math.round(seconds / 60)} min`
    : `${(seconds / 3600).toFixed(1)} h`;
}

/** A time: how long ago, and exactly in its tooltip. */
export const Time = ({ at }: { at: string }) => (
  <time dateTime={at} title={utc(at)} style={{ whiteSpace: 'nowrap' }}>
    {ago(at)}
  </time>
);
